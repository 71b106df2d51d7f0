"""A stored face model gives its head back, to whoever names the artifact that was judged: the real one and the fake."""

import dataclasses

import numpy as np
import pytest

from pipeline.domain.errors import ModelRefused
from pipeline.learning.export import Destination
from pipeline.learning.faces.artifact import StoredFaceArtifacts
from pipeline.learning.faces.head import Head
from pipeline.learning.faces.learner import bytes_of, head_of
from pipeline.learning.faces.network import KerasFaceNetwork
from pipeline.ports.faces import FaceHead
from tests.fakes.data import FakeObjects
from tests.fakes.faces import FakeFaceArtifacts

MATRIX = np.linalg.qr(np.random.default_rng(0).normal(size=(128, 128)))[0].astype(np.float32)
HEAD = FaceHead(bytes_of(Head(MATRIX)), 0.87, "margin", 0.93, identification=((1, 0.87), (100, 0.9)))


@pytest.fixture(scope="module", params=["stored", "fake"])
def written(request):
    objects = FakeObjects()
    to = Destination(objects, "s3://models/")
    made = (
        StoredFaceArtifacts(KerasFaceNetwork(), to)
        if request.param == "stored"
        else FakeFaceArtifacts(objects, KerasFaceNetwork())
    )
    return made, made.write(HEAD, "run-1", "DS-2026-001"), objects


def test_the_head_comes_back_as_it_was_learned(written):
    artifacts, artifact, _ = written
    found = artifacts.head(artifact)
    assert head_of(found.matrix).matrix.tobytes() == MATRIX.tobytes()
    assert (found.threshold, found.way, found.score) == (0.87, "margin", 0.93)
    assert (found.base_sha256, found.identification) == (KerasFaceNetwork.sha256, HEAD.identification)


def test_a_run_that_wrote_an_artifact_finds_it_again_and_another_one_does_not(written):
    artifacts, artifact, _ = written
    assert (artifacts.of_run("run-1"), artifacts.of_run("run-2")) == (artifact, None)


@pytest.mark.parametrize(
    "changes", [{"manifest_sha256": "0" * 64}, {"uri": "s3://models/FACE/run-9/"}], ids=["another one", "gone"]
)
def test_another_artifact_than_the_judged_one_is_refused(written, changes):
    artifacts, artifact, _ = written
    with pytest.raises(ModelRefused):
        artifacts.head(dataclasses.replace(artifact, **changes))


def test_a_head_that_was_changed_is_refused(written):
    artifacts, artifact, objects = written
    uri = f"{artifact.uri}head.npz"
    before = objects.bodies[uri]
    objects.bodies[uri] = bytes_of(Head.identity(128))
    with pytest.raises(ModelRefused, match="sha256 differs"):
        artifacts.head(artifact)
    objects.bodies[uri] = before


@pytest.mark.parametrize(
    "matrix", [np.eye(3), np.full((3, 3), np.nan, np.float32), np.zeros(3, np.float32)], ids=["f64", "nan", "vector"]
)
def test_a_head_is_a_matrix_of_finite_numbers(matrix):
    with pytest.raises(ValueError, match="a head is a matrix of finite float32"):
        head_of(bytes_of(Head(matrix)))
