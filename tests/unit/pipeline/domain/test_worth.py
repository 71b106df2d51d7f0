"""What a version is worth, in errors and in seconds of people's time."""

import math

import pytest

from pipeline.domain.worth import Reviewed, worth
from tests.histories import a_history

HISTORY = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0", "promote v1.2.0")


def reviewed(version, right, wrong, seconds=10.0, timed=None):
    """Reviews of `seconds` on average, half of them two longer and half of them two shorter."""
    rows = []
    for corrected, counting in ((False, right), (True, wrong)):
        n = counting if timed is None else min(timed, counting)
        rows.append(Reviewed(version, corrected, counting, n, n * seconds, n * (seconds**2 + 2**2)))
    return rows


def test_errors_are_avoided_where_the_one_before_was_wrong_more_often():
    rows = [*reviewed("v1.0.0", 800, 200), *reviewed("v1.1.0", 1900, 100)]
    first, second, third = worth(HISTORY, rows)
    assert [one.version for one in (first, second, third)] == ["v1.0.0", "v1.1.0", "v1.2.0"]
    assert (second.against, second.verdicts) == ("v1.0.0", 2000)
    # A fifth of 2000 would have been wrong, and 100 were.
    assert second.errors_avoided.value == pytest.approx(300)
    assert 240 < second.errors_avoided.low < 300 < second.errors_avoided.high < 360


def test_a_version_that_is_wrong_more_often_costs_errors():
    rows = [*reviewed("v1.0.0", 950, 50), *reviewed("v1.1.0", 900, 100)]
    lost = worth(HISTORY, rows)[1].errors_avoided
    assert lost.value == pytest.approx(-50) and lost.low < lost.high < 0


def test_time_is_saved_where_reviews_of_the_one_before_took_longer():
    rows = [*reviewed("v1.0.0", 500, 0, seconds=14.0), *reviewed("v1.1.0", 1000, 0, seconds=9.0)]
    saved = worth(HISTORY, rows)[1].seconds_saved
    half = 1000 * 1.959964 * math.sqrt(4 / 499 + 4 / 999)
    assert (saved.value, saved.low, saved.high) == pytest.approx((5000, 5000 - half, 5000 + half))


def test_those_that_said_nothing_of_their_time_took_as_long_as_the_others():
    rows = [*reviewed("v1.0.0", 500, 0, seconds=14.0), *reviewed("v1.1.0", 1000, 0, seconds=9.0, timed=100)]
    assert worth(HISTORY, rows)[1].seconds_saved.value == pytest.approx(5000)


def test_what_cannot_be_told_says_why():
    rows = [*reviewed("v1.0.0", 29, 0), *reviewed("v1.1.0", 100, 0, timed=29)]
    first, second, third = worth(HISTORY, rows)
    assert (first.against, first.errors_avoided, first.seconds_saved) == (None, None, None)
    assert first.open == ("it was the first: there is nothing to compare it with",)
    assert (second.errors_avoided, second.seconds_saved) == (None, None)
    assert second.open == (
        "29 confirmations of v1.0.0, 30 needed",
        "29 timed reviews of v1.1.0, 30 needed",
        "29 timed reviews of v1.0.0, 30 needed",
    )
    # It replaced v1.0.0, which served again.
    assert (third.against, third.verdicts) == ("v1.0.0", 0)


def test_before_any_version_served_there_is_nothing():
    assert worth(a_history(), reviewed("v1.0.0", 100, 0)) == []
