"""A candidate that crashes or hangs harms a child process, never the server."""

import sys

import pytest

from faceserve.artifacts import ArtifactCache
from faceserve.engines.base import factory
from faceserve.errors import BadArtifact
from faceserve.loading import Loader, Origin
from faceserve.vetting import ChildVetting
from tests.tiny_model import FolderSource, tiny_artifact

pytestmark = pytest.mark.integration

URI = "s3://models/v1.0.0/"


@pytest.fixture
def load(tmp_path):
    """Loads an artifact made with `changes`, vetted within `seconds`."""

    def load(seconds=60.0, **changes):
        source = FolderSource()
        sha256 = source.put(URI, tiny_artifact(**changes))
        cache = ArtifactCache(tmp_path / "artifacts", source, "openvino")
        loader = Loader(cache, "openvino", factory("openvino", 1), ChildVetting("openvino", seconds))
        return loader.load("laundry", Origin("v1.0.0", URI, sha256))

    return load


def stand_in(tmp_path, monkeypatch, script):
    """A Python interpreter that does what `script` says."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_a_good_candidate_is_loaded(load):
    assert load().generation.labels == ("양호", "불량")


def test_the_child_says_why_a_candidate_is_refused(load):
    with pytest.raises(BadArtifact, match=r"golden predictions differ by 0\.5"):
        load(golden_shift=0.5)


def test_a_candidate_that_crashes_is_refused_with_the_signal(load, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "kill -SEGV $$")
    with pytest.raises(BadArtifact, match=r"crashes its process \(signal 11\)"):
        load()


def test_a_candidate_that_hangs_is_refused_after_the_deadline(load, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "sleep 60")
    with pytest.raises(BadArtifact, match="did not load and answer within 0.2 s"):
        load(seconds=0.2)


def test_a_child_that_cannot_start_is_refused_with_its_last_words(load, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "echo no memory >&2; exit 3")
    with pytest.raises(BadArtifact, match=r"exit status 3\): no memory"):
        load()
