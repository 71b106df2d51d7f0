"""Artifacts on disk: verified, kept while needed, gone afterwards."""

import errno
import os
import time
from pathlib import Path

import pytest

from faceserve.errors import DiskUnusable, StorageUnavailable
from faceserve.models.artifacts import ArtifactCache
from include.contract.manifest import MANIFEST
from tests.tiny_model import FolderSource, tiny_artifact

DAY_SECONDS = 86_400


@pytest.fixture
def world(tmp_path):
    source = FolderSource()
    return source, ArtifactCache(tmp_path, source, ["openvino"]), tmp_path


def fetched(world, version, *, age_seconds=0.0):
    source, cache, folder = world
    uri = f"s3://models/{version}/"
    sha256 = source.put(uri, tiny_artifact(sharpness=float(version[1:])))
    cache.fetch(uri, sha256)
    then = time.time() - age_seconds
    os.utime(folder / sha256, (then, then))
    return sha256


def test_what_nobody_needs_is_deleted_and_the_rest_stays(world):
    _, cache, folder = world
    old, wanted = fetched(world, "v1", age_seconds=DAY_SECONDS), fetched(world, "v2", age_seconds=DAY_SECONDS)
    cache.keep_only({wanted})
    assert {p.name for p in folder.iterdir()} == {wanted}
    assert old != wanted


def test_what_may_be_loading_just_now_is_left_alone(world):
    _, cache, folder = world
    young = fetched(world, "v1")
    cache.keep_only(set())
    assert {p.name for p in folder.iterdir()} == {young}


def test_a_download_that_a_crash_cut_off_is_cleaned_up_later(world):
    _, cache, folder = world
    partial = folder / "partial-x"
    partial.mkdir()
    os.utime(partial, (0, 0))
    cache.keep_only(set())
    assert not partial.exists()


def away(source, monkeypatch):
    def read(uri, *limit):
        raise StorageUnavailable("S3: timed out")

    monkeypatch.setattr(source, "read", read)


FILES = ["openvino/model.bin", "openvino/model.xml", "golden.npz", MANIFEST]


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize(
    "spoil", [lambda body: body[:-1] + b"?", lambda body: b"", None], ids=["byte", "empty", "gone"]
)
def test_what_was_damaged_in_the_cache_is_fetched_again(world, path, spoil):
    _, cache, folder = world
    sha256 = fetched(world, "v1")
    damaged, whole = folder / sha256 / path, (folder / sha256 / path).read_bytes()
    if spoil:
        damaged.write_bytes(spoil(whole))
    else:
        damaged.unlink()
    cache.fetch("s3://models/v1/", sha256)
    assert damaged.read_bytes() == whole


def test_what_is_whole_in_the_cache_needs_no_store_and_what_is_damaged_does(world, monkeypatch):
    source, cache, folder = world
    sha256 = fetched(world, "v1")
    away(source, monkeypatch)
    cache.fetch("s3://models/v1/", sha256)
    (folder / sha256 / "golden.npz").write_bytes(b"")
    with pytest.raises(StorageUnavailable):
        cache.fetch("s3://models/v1/", sha256)


def test_a_full_disk_is_no_fault_of_the_model(world, monkeypatch):
    _, cache, folder = world

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskUnusable, match="No space left on device"):
        fetched(world, "v1")
    assert list(folder.iterdir()) == []
    monkeypatch.undo()
    assert fetched(world, "v1")


def test_every_byte_is_on_disk_before_the_artifact_has_its_name(world, monkeypatch):
    """Or a power cut leaves a folder that looks whole."""
    _, _, folder = world
    named, plain = {}, os.fsync

    def watched(descriptor):
        plain(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        named[path.name] = any(len(one.name) == 64 for one in folder.iterdir())

    monkeypatch.setattr("os.fsync", watched)
    fetched(world, "v1")
    names = {Path(path).name for path in FILES if path != MANIFEST}
    assert {name: named[name] for name in names} == dict.fromkeys(names, False)
    assert (named[f"{MANIFEST}.partial"], named["openvino"], named[folder.name]) == (False, False, True)
