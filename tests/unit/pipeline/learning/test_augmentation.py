"""Augmented images: as specified, the same for the same seed, and never for what a model is judged by."""

import hashlib
import io
import os
import subprocess
import sys

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.contract.preprocessing import to_input
from pipeline.domain.dataset import Augmentation, Manifest, Split
from pipeline.domain.quality import QualityPolicy
from pipeline.learning.augmentation import AlbumentationsAugmenter
from pipeline.learning.shards import Row, pack, unpack
from pipeline.ports.bundles import Images
from pipeline.steps.augment import augment
from tests.builders import a_photo
from tests.fakes.data import FakeDatasets, FakeErasures, FakeObjects, FakePhotos, FakeReporter

LABELS = ("양호", "불량")
DATASET = "s3://datasets/DS-2026-001/"


def _body(number):
    """A photo with edges, another for each number."""
    pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
    ok, encoded = cv2.imencode(".jpg", cv2.resize(pixels, (320, 240), interpolation=cv2.INTER_NEAREST))
    assert ok
    return bytes(encoded.tobytes())


def _photos(count, **fields):
    bodies = [_body(number) for number in range(count)]
    return [(a_photo(i, sha256=hashlib.sha256(body).hexdigest(), **fields), body) for i, body in enumerate(bodies)]


def _shard(photos, **parameters):
    return AlbumentationsAugmenter().shard(photos, augmentation=Augmentation(**parameters), labels=LABELS)


def _images(shard):
    return unpack([shard]).images


def test_the_same_photos_and_seed_give_the_same_bytes():
    assert _shard(_photos(3)) == _shard(_photos(3))


def test_another_seed_gives_other_images_of_the_same_photos():
    one, other = _images(_shard(_photos(1), seed=7)), _images(_shard(_photos(1), seed=8))
    assert (one[0] == other[0]).all()
    assert all((a != b).any() for a, b in zip(one[1:], other[1:], strict=True))


def test_a_photos_images_do_not_depend_on_its_neighbours():
    photos = _photos(3)
    assert (_images(_shard(photos))[10:15] == _images(_shard(photos[2:]))).all()


def test_every_copy_of_a_photo_differs_from_the_others():
    images = _images(_shard(_photos(1)))
    assert len({image.tobytes() for image in images}) == 5


def test_the_first_image_is_the_photo_as_the_server_will_see_it():
    ((photo, body),) = _photos(1)
    served = pack([Row(to_input(body), 0, photo.task_id, 0)])
    assert (_images(_shard([(photo, body)]))[0] == _images(served)[0]).all()


def test_a_shard_says_of_each_image_whose_it_is():
    table = pq.read_table(io.BytesIO(_shard(_photos(1, label="불량"), copies=3)), columns=["label", "task_id", "copy"])
    assert table.to_pylist() == [{"label": 1, "task_id": "TASK-00000", "copy": copy} for copy in range(3)]


def test_a_turned_photo_has_no_empty_corners():
    white = cv2.imencode(".png", np.full((240, 320, 3), 255, np.uint8))[1].tobytes()
    assert _images(_shard([(a_photo(1), white)], copies=9)).min() > 150


@pytest.mark.parametrize(("split", "images_a_photo"), [(Split.TRAIN, 5), (Split.VALIDATION, 1)])
def test_only_training_photos_are_augmented(split, images_a_photo):
    photos = _photos(2, split=split)
    shard = _step(photos)
    assert len(_images(shard)) == 2 * images_a_photo
    assert (_images(shard)[::images_a_photo] == _images(_shard(photos, copies=1))).all()


def test_a_step_that_runs_again_writes_the_same_bytes():
    assert _step(_photos(2)) == _step(_photos(2))


def test_a_contact_sheet_is_a_picture_with_a_row_a_label():
    shards = [_shard(_photos(2, label=label)) for label in LABELS]
    sheet = cv2.imdecode(np.frombuffer(AlbumentationsAugmenter().contact_sheet(shards, LABELS), np.uint8), 1)
    assert sheet.shape == (2 * 112, 8 * 112, 3)


def _step(photos):
    manifest = Manifest("DS-2026-001", "LAUNDRY", LABELS, None, None, tuple(photo for photo, _ in photos))
    objects = FakeObjects({f"{DATASET}manifest.json": manifest.to_json()})
    store = FakePhotos({photo.photo_url: body for photo, body in photos})
    datasets = FakeDatasets()
    images = Images(
        photos=store,
        augmenter=AlbumentationsAugmenter(),
        reporter=FakeReporter(),
        datasets=datasets,
        erasures=FakeErasures(datasets),
        objects=objects,
        policy=QualityPolicy(),
    )
    uri = augment(images, DATASET, 0)
    return objects.read(uri)


def test_a_shard_loses_one_photo_and_keeps_the_others_byte_for_byte():
    shard = _shard(_photos(3))
    smaller = AlbumentationsAugmenter().without(shard, "TASK-00001")
    before, after = (pq.read_table(io.BytesIO(one)).to_pylist() for one in (shard, smaller))
    assert after == [row for row in before if row["task_id"] != "TASK-00001"]
    assert AlbumentationsAugmenter().without(smaller, "TASK-00001") is None
    assert AlbumentationsAugmenter().without(shard, "TASK-00001") == smaller


@pytest.mark.parametrize(
    ("parameters", "differs"),
    [
        ({"rotation_degrees": 0.0, "flip_probability": 0.0, "brightness": 0.0, "contrast": 0.0}, False),
        ({"rotation_degrees": 0.0, "flip_probability": 1.0, "brightness": 0.0, "contrast": 0.0}, True),
        ({"rotation_degrees": 30.0, "flip_probability": 0.0, "brightness": 0.0, "contrast": 0.0}, True),
        ({"rotation_degrees": 0.0, "flip_probability": 0.0, "brightness": 0.5, "contrast": 0.0}, True),
    ],
    ids=["nothing", "flip", "rotation", "brightness"],
)
def test_each_transform_is_as_strong_as_its_setting(parameters, differs):
    original, copy = _images(_shard(_photos(1), copies=2, **parameters)).astype(int)
    assert bool(np.abs(original - copy).mean() > 8) == differs


@settings(max_examples=15)
@given(colour=st.tuples(*[st.integers(0, 255)] * 3))
@example(colour=(255, 0, 0))
@example(colour=(0, 0, 255))
def test_training_sees_the_colours_that_the_server_sees(colour):
    body = cv2.imencode(".png", np.full((96, 96, 3), colour[::-1], np.uint8))[1].tobytes()
    still = {"rotation_degrees": 0, "flip_probability": 0, "brightness": 0, "contrast": 0}
    learned = _images(_shard([(a_photo(1), body)], copies=2, **still)).astype(int)
    assert (to_input(body) == colour).all()
    # A JPEG may be off by a little.
    assert np.abs(learned - colour).max() <= 4


def _turned_degrees(image):
    """How far the border between a photo's black and its white half is turned, by where the white one lies."""
    rows, columns = np.indices(image.shape[:2]) - (image.shape[0] - 1) / 2
    # What rotation mirrors into the corners is none of it.
    seen = image.mean(2) * (np.hypot(rows, columns) < image.shape[0] * 0.45)
    return np.degrees(np.arctan2((seen * rows).sum(), (seen * columns).sum()))


@settings(max_examples=8, deadline=None)
@given(degrees=st.integers(2, 60), seed=st.integers(0, 99))
@example(degrees=15, seed=7)
def test_copies_are_turned_as_far_as_the_setting_says_and_no_further(degrees, seed):
    halves = np.zeros((320, 320, 3), np.uint8)
    halves[:, 160:] = 255
    photo = a_photo(1), cv2.imencode(".png", halves)[1].tobytes()
    still = {"flip_probability": 0, "brightness": 0, "contrast": 0, "seed": seed}
    images = _images(_shard([photo], copies=25, rotation_degrees=degrees, **still))
    turned = [abs(_turned_degrees(image)) for image in images]
    assert turned[0] < 0.5
    assert degrees / 2 < max(turned) < degrees + 0.5


def test_loading_it_asks_nobody_on_the_internet():
    words = (
        "import urllib.request as u; u.OpenerDirector.open = lambda *_, **__: print('asked'); "
        "import pipeline.learning.augmentation"
    )
    variables = {name: value for name, value in os.environ.items() if name != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, env=variables)
    assert done.stdout == ""
