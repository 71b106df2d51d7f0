"""What a correction would be about, beside the verdict."""

import pytest

from tests.replica.world import replica
from tests.tiny_model import coloured_photo, stain_or_mud


@pytest.fixture
def world(tmp_path):
    with replica(tmp_path) as made:
        yield made


def reasons(world, photo):
    return dict(world.client.classify("laundry", photo).reasons)


def test_an_answer_names_the_likeliest_reasons_and_the_verdict_stays_what_it_is(world):
    red, green = coloured_photo(255, 0, 0), coloured_photo(0, 255, 0)
    world.serve("v1.0.0")
    before = world.client.classify("laundry", red)
    assert before.reasons == ()
    world.serve("v1.1.0", beside=stain_or_mud(), sharpness=4.0)
    found = world.client.classify("laundry", red)
    assert (found.label, dict(found.probabilities)) == (before.label, pytest.approx(dict(before.probabilities)))
    assert [name for name, _ in found.reasons] == ["얼룩", "흙"]
    assert reasons(world, red)["얼룩"] > 0.9 and reasons(world, green)["얼룩"] < 0.1
