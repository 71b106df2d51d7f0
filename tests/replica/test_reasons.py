"""What a correction would be about, beside the verdict."""

import io

import numpy as np
import pytest

from include.contract.manifest import REASONS
from tests.replica.world import replica
from tests.tiny_model import coloured_photo, manifest_sha256, tiny_artifact

NAMES = ("얼룩", "흙")


@pytest.fixture
def world(tmp_path):
    with replica(tmp_path) as made:
        yield made


def with_reasons(**artifact):
    """Red photos have a stain, green ones are muddy."""
    out = io.BytesIO()
    weights = np.array([[9, 0], [0, 9], [0, 0]], np.float32)
    np.savez(out, names=np.array(NAMES), weights=weights, bias=np.full(2, -5, np.float32))
    return tiny_artifact(beside={REASONS: out.getvalue()}, **artifact)


def serve(world, version, files):
    uri = f"s3://models/laundry/{version}/"
    world.source.put(uri, files)
    world.lifecycle.prepare("laundry", version, uri, manifest_sha256(files), timeout_seconds=20)
    world.lifecycle.activate("laundry", version)


def reasons(world, photo):
    return dict(world.client.classify("laundry", photo).reasons)


def test_an_answer_names_the_likeliest_reasons_and_the_verdict_stays_what_it_is(world):
    red, green = coloured_photo(255, 0, 0), coloured_photo(0, 255, 0)
    world.serve("v1.0.0")
    before = world.client.classify("laundry", red)
    assert before.reasons == ()
    serve(world, "v1.1.0", with_reasons(sharpness=4.0))
    found = world.client.classify("laundry", red)
    assert (found.label, dict(found.probabilities)) == (before.label, pytest.approx(dict(before.probabilities)))
    assert [name for name, _ in found.reasons] == ["얼룩", "흙"]
    assert reasons(world, red)["얼룩"] > 0.9 and reasons(world, green)["얼룩"] < 0.1
