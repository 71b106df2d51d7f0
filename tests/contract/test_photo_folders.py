"""Every kind of folder that a person may hand over, through the same cases."""

import os

import pytest

from include.contract.photo import MAX_PHOTO_BYTES
from pipeline.adapters.photo_folders import photo_folder
from pipeline.adapters.s3 import S3ObjectStore, S3PhotoStore
from pipeline.domain.errors import DatasetRefused, PhotoRefused
from tests.fakes.data import FakeFolder, FakeObjects, FakePhotos

FILES = {"양호/a.jpg": b"a", "불량/deep/b.jpg": b"b", "labels.csv": b"photo,label"}


def in_memory(_request, _tmp_path):
    return FakeFolder(dict(FILES))


def of_this_machine(_request, tmp_path):
    for name, body in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    return photo_folder(str(tmp_path), FakeObjects(), FakePhotos())


def _filled(objects, photos):
    for name, body in FILES.items():
        objects.write(f"s3://tasks/archive/{name}", body)
    objects.write("s3://tasks/archive-of-others/c.jpg", b"c")
    return photo_folder("s3://tasks/archive", objects, photos)


def of_objects(_request, _tmp_path):
    objects = FakeObjects()
    return _filled(objects, FakePhotos(objects.bodies))


def of_s3(request, _tmp_path):
    endpoint = request.getfixturevalue("services").stack.s3_endpoint
    return _filled(S3ObjectStore(endpoint=endpoint), S3PhotoStore(endpoint=endpoint, buckets=frozenset({"tasks"})))


REAL = pytest.param(of_s3, marks=pytest.mark.integration)


@pytest.fixture(params=[in_memory, of_this_machine, of_objects, REAL])
def folder(request, tmp_path):
    return request.param(request, tmp_path)


def test_everything_below_it_is_named_in_order_and_nothing_beside_it(folder):
    assert folder.names() == sorted(FILES)


def test_a_photo_is_read_by_its_name(folder):
    assert {name: folder.read(name) for name in folder.names()} == FILES


def test_a_photo_that_went_meanwhile_is_refused_by_name(folder):
    with pytest.raises(PhotoRefused, match=r"양호/gone.jpg|no photo at its address"):
        folder.read("양호/gone.jpg")


def test_its_text_is_an_address_that_a_name_can_follow(folder):
    assert str(folder).partition("://")[0] in {"file", "s3"} and not str(folder).endswith("/")


def test_a_photo_larger_than_any_may_be_is_not_read(tmp_path):
    with (tmp_path / "film.jpg").open("wb") as file:
        os.truncate(file.fileno(), MAX_PHOTO_BYTES + 1)
    with pytest.raises(PhotoRefused, match=r"film.jpg has \d+ bytes, \d+ are allowed"):
        photo_folder(str(tmp_path), FakeObjects(), FakePhotos()).read("film.jpg")


@pytest.mark.parametrize("place", ["/no/such/folder", "labels.csv"])
def test_a_place_that_is_no_folder_is_refused_with_what_it_may_be(place):
    with pytest.raises(DatasetRefused, match="is no folder of this machine, nor an address such as s3://bucket/"):
        photo_folder(place, FakeObjects(), FakePhotos())
