"""Reasons that a model suggests beside its verdict."""

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from faceserve.errors import BadArtifact
from faceserve.models.reasons import Reasons
from include.contract import faceserve_pb2 as pb
from include.contract.manifest import MANIFEST, REASONS, ArtifactManifest
from tests.tiny_model import tiny_artifact

SAID = tiny_artifact()[MANIFEST]


def kept(names=("얼룩", "흙", "기름", "찢어짐"), weights=None, bias=None):
    out = io.BytesIO()
    weights = np.eye(3, len(names), dtype=np.float32) if weights is None else weights
    np.savez(
        out, names=np.array(names), weights=weights, bias=np.zeros(len(names), np.float32) if bias is None else bias
    )
    return out.getvalue()


def read(tmp_path, body):
    """As a server finds it in an artifact's folder."""
    manifest = json.loads(SAID)
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


def packed_by(method):
    """Which unpacks a few bytes to gigabytes before anybody can stop it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(kept())) as plain, zipfile.ZipFile(out, "w", method) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    return out.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        b"no file",
        kept(weights=np.zeros((4, 4), np.float32)),
        kept(bias=np.zeros(3, np.float32)),
        kept(bias=np.full(4, np.nan, np.float32)),
        kept(names=np.array([{}], object), weights=np.zeros((3, 1), np.float32)),
        kept()[: len(kept()) // 2],
        kept(names=[7, 8]),
        kept(names=[["a", "b"]], weights=np.zeros((3, 1), np.float32), bias=np.zeros(1, np.float32)),
        kept(names=["\ud800"]),
        kept(names=["가" * 201]),
        kept(weights=np.full((3, 4), "1")),
        kept(weights=np.full((3, 4), 1e300)),
        packed_by(zipfile.ZIP_BZIP2),
        packed_by(zipfile.ZIP_LZMA),
    ],
    ids=[
        *(
            "unreadable",
            "another width",
            "too few",
            "not finite",
            "code",
            "half",
            "numbers",
            "a table",
            "no text",
            "a long text",
        ),
        *("texts as numbers", "not finite as float32", "another packing", "one more"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(tmp_path, body):
    with pytest.raises(BadArtifact, match=REASONS):
        read(tmp_path, body)


def test_a_small_file_that_unpacks_to_a_large_one_is_not_unpacked(tmp_path):
    out = io.BytesIO()
    np.savez_compressed(
        out, names=np.array(["a"]), weights=np.zeros((3, 10 << 20), np.float32), bias=np.zeros(1, np.float32)
    )
    assert len(out.getvalue()) < 1 << 20
    with pytest.raises(BadArtifact, match="more than 16 MB when unpacked"):
        read(tmp_path, out.getvalue())


ANYTHING = arrays.scalar_dtypes()
HELD = st.fixed_dictionaries(
    {
        "names": arrays.arrays(st.one_of(arrays.unicode_string_dtypes(max_len=3), ANYTHING), st.just(2)),
        "weights": arrays.arrays(st.one_of(st.just("f4"), ANYTHING), st.sampled_from([(3, 2), (3, 2), (2, 3)])),
        "bias": arrays.arrays(st.one_of(st.just("f4"), ANYTHING), st.sampled_from([2, 2, 1])),
    }
)
FEATURES = arrays.arrays(np.float32, 3, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=HELD, features=FEATURES, damage=st.none() | st.tuples(st.integers(0, 2000), st.integers(1, 255)))
def test_whatever_the_file_holds_it_is_refused_or_an_answer_can_carry_it(tmp_path, held, features, damage):
    body = bytearray(kept(**held))
    if damage:
        at, change = damage
        body[at % len(body)] ^= change
    try:
        found = read(tmp_path, bytes(body)).likeliest(features)
    except BadArtifact:
        return
    answer = pb.ClassifyResponse(reasons=[pb.Reason(name=name, probability=share) for name, share in found])
    assert all(0 <= reason.probability <= 1 for reason in answer.reasons)
