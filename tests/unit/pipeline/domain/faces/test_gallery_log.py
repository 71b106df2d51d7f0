"""Changes that are written beside a gallery: in order after all that are there, and without a name."""

from datetime import UTC, datetime

import pytest

from pipeline.domain.faces.gallery_log import named_in, place_of, withdrawals

NOW = datetime(2026, 5, 4, tzinfo=UTC)
MILLISECONDS = int(NOW.timestamp() * 1000)


@pytest.mark.parametrize("gallery", ["s3://models/gallery/", "s3://models/gallery"])
def test_faces_lie_below_the_name_that_model_servers_have_for_them(gallery):
    assert place_of(gallery) == "s3://models/gallery/face"


def test_withdrawals_are_in_order_and_named_by_hashes_alone():
    keys = withdrawals(["person:bb", "person:aa"], [], NOW)
    assert keys == [f"{MILLISECONDS:015d}-aa-erased-again", f"{MILLISECONDS + 1:015d}-bb-erased-again"]


@pytest.mark.parametrize("ahead", [0, 1, 90_000])
def test_they_come_after_what_a_clock_that_is_ahead_wrote(ahead):
    there = [f"{MILLISECONDS - 5:015d}-x", f"{MILLISECONDS + ahead:015d}-y", "odd", ""]
    (key,) = withdrawals(["person:aa"], there, NOW)
    assert key == f"{MILLISECONDS + ahead + 1:015d}-aa-erased-again"
    assert key > there[1]


def test_a_clock_that_is_ahead_of_all_that_is_there_is_taken_at_its_word():
    (key,) = withdrawals(["person:aa"], [f"{MILLISECONDS - 90_000:015d}-x"], NOW)
    assert key.startswith(f"{MILLISECONDS:015d}-")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (b'{"name": "kim"}', "kim"),
        (b'{"name": null}', ""),
        (b'{"withdrawn": true}', ""),
        (b'["kim"]', ""),
        (b"kim", ""),
        (b"\xff", ""),
    ],
)
def test_a_change_names_somebody_or_nobody(change, name):
    assert named_in(change) == name
