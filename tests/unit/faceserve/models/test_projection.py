"""What one version says of faces is turned into what another one of the same network says."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceserve.errors import BadArtifact
from faceserve.faces.comparison import VectorComparisonEngine
from faceserve.faces.features import unit_length
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.generation import Origin
from faceserve.models.loading import Loader
from faceserve.models.projection import Projection
from include.contract.manifest import HEAD
from tests.tiny_model import FolderSource, tiny_artifact

WIDTH = 16


def projection(seed, base="one", width=WIDTH):
    """Near the identity, as heads are."""
    chance = np.random.default_rng(seed).normal(size=(width, width))
    return Projection(base, np.eye(width) + 0.15 * chance)


def read(tmp_path, matrix, base="one", width=WIDTH):
    out = io.BytesIO()
    np.savez(out, matrix=matrix)
    (tmp_path / HEAD).write_bytes(out.getvalue())
    said = {"base_sha256": base} if base else {}
    return Projection.of(tmp_path, SimpleNamespace(extra=said, files={HEAD: "hash"}, feature_width=width))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_after_fifty_versions_everybody_is_where_the_last_one_puts_them(seed):
    base = np.random.default_rng(seed).normal(size=(20, WIDTH)).astype(np.float32)
    versions = [projection(seed + number) for number in range(50)]
    names = [f"p{number}" for number in range(20)]
    known = VectorComparisonEngine(names, unit_length((base @ versions[0].matrix).astype(np.float32)))
    for before, after in zip(versions, versions[1:], strict=False):
        known = known.turned(before.to(after))
    computed = unit_length((base @ versions[-1].matrix).astype(np.float32))
    for name, vector in zip(names, computed, strict=True):
        (match,) = known.with_one(name, vector)
        assert match.similarity > 1 - 1e-4


def test_vectors_of_two_networks_are_never_turned_into_each_other():
    assert projection(1).to(projection(2, base="another")) is None


def test_nor_are_those_of_two_widths():
    assert projection(1).to(projection(2, width=WIDTH + 1)) is None


def test_a_model_that_says_nothing_of_its_network_or_loses_a_direction_turns_nothing(tmp_path):
    flat = np.eye(WIDTH, dtype=np.float32)
    assert read(tmp_path, flat).base == "one"
    flat[0, 0] = 1e-5
    assert read(tmp_path, flat) is None
    assert read(tmp_path, np.eye(WIDTH, dtype=np.float32), base=None) is None


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(WIDTH + 1),
        np.ones(WIDTH),
        np.full((WIDTH, WIDTH), np.nan),
        np.eye(WIDTH, dtype=int),
        np.eye(WIDTH, dtype=np.longdouble) * np.finfo(np.longdouble).max,
    ],
)
def test_a_head_that_does_not_fit_is_a_bad_artifact(tmp_path, matrix):
    with pytest.raises(BadArtifact, match="no matrix of numbers|not finite"):
        read(tmp_path, matrix)


def test_it_is_looked_at_where_a_candidate_is_tried_out_before_the_candidate_is(tmp_path):
    source, engine = FolderSource(), []
    cache = ArtifactCache(tmp_path, source, ["openvino"])
    fields = {"model_type": "FACE", "extra": {"base_sha256": "one"}, "beside": {HEAD: b"no arrays"}}
    origin = Origin("v1", "s3://models/v1/", source.put("s3://models/v1/", tiny_artifact(**fields)))
    with pytest.raises(BadArtifact, match="head.npz cannot be read"):
        Loader(cache, SimpleNamespace(examine=lambda *_: engine.append(1)), None).examine("face", origin)
    assert not engine
