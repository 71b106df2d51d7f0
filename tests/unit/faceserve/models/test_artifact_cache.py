"""Artifacts on disk: verified, kept while needed, gone afterwards."""

import os
import time

import pytest

from faceserve.models.artifacts import ArtifactCache
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
