"""Reasons that a model suggests beside its verdict."""

import io
import json

import numpy as np
import pytest

from faceserve.errors import BadArtifact
from faceserve.models.reasons import Reasons
from include.contract.manifest import MANIFEST, REASONS, ArtifactManifest
from tests.tiny_model import tiny_artifact


def kept(names=("얼룩", "흙", "기름", "찢어짐"), weights=None, bias=None):
    out = io.BytesIO()
    weights = np.eye(3, len(names), dtype=np.float32) if weights is None else weights
    np.savez(
        out, names=np.array(names), weights=weights, bias=np.zeros(len(names), np.float32) if bias is None else bias
    )
    return out.getvalue()


def read(tmp_path, body):
    """As a server finds it in an artifact's folder."""
    manifest = json.loads(tiny_artifact()[MANIFEST])
    if body is not None:
        manifest["files"][REASONS] = "a" * 64
        (tmp_path / REASONS).write_bytes(body)
    return Reasons.of(tmp_path, ArtifactManifest.from_json(json.dumps(manifest).encode()))


def test_the_three_likeliest_are_named_with_their_probabilities(tmp_path):
    found = read(tmp_path, kept()).likeliest(np.array([-1.0, 3.0, 1.0], np.float32))
    assert [name for name, _ in found] == ["흙", "기름", "찢어짐"]
    assert [share for _, share in found] == pytest.approx([0.9526, 0.7311, 0.5], abs=1e-4)


def test_a_model_may_come_without(tmp_path):
    assert read(tmp_path, None).likeliest(np.ones(3, np.float32)) == []


def test_certainty_overflows_nothing(tmp_path):
    found = read(tmp_path, kept()).likeliest(np.array([1e30, -1e30, 0], np.float32))
    assert found[0] == ("얼룩", pytest.approx(1.0)) and 0 <= found[-1][1] <= 1


@pytest.mark.parametrize(
    "body",
    [
        b"no file",
        kept(weights=np.zeros((4, 4), np.float32)),
        kept(bias=np.zeros(3, np.float32)),
        kept(bias=np.full(4, np.nan, np.float32)),
        kept(names=np.array([{}], object), weights=np.zeros((3, 1), np.float32)),
    ],
    ids=["unreadable", "another width", "too few", "not finite", "code"],
)
def test_what_does_not_fit_the_model_is_refused(tmp_path, body):
    with pytest.raises(BadArtifact, match=REASONS):
        read(tmp_path, body)
