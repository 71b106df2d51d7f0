"""What repeats say together: the interval of a median holds it as often as it says, whatever is measured."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.bench.spread import Spread


def share_held(repeats):
    """Of all ways in which so many repeats can fall below or above a median, each of which is as likely."""
    held = 0
    for falls in itertools.product((-1.0, 1.0), repeat=repeats):
        # The median is 0; how far the repeats are from it makes no difference.
        spread = Spread.of([fall * (1 + number) for number, fall in enumerate(falls)])
        held += spread.low <= 0 <= spread.high
    return held / 2**repeats


@pytest.mark.parametrize("repeats", range(6, 15))
def test_the_interval_of_a_median_holds_it_in_ninety_five_of_a_hundred_and_no_narrower_one_would(repeats):
    assert share_held(repeats) >= 0.95
    spread = Spread.of(range(repeats))
    aside = int(spread.low)
    narrower = 1 - 2 * sum(len(list(itertools.combinations(range(repeats), n))) for n in range(aside + 2)) / 2**repeats
    assert narrower < 0.95


def test_of_five_repeats_the_interval_is_as_wide_as_they_are():
    assert share_held(5) == 0.9375
    spread = Spread.of([1.3, 0.9, 1.0, 1.1, 1.2])
    assert (spread.low, spread.median, spread.high) == (spread.least, 1.1, spread.most) == (0.9, 1.1, 1.3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_the_interval_is_around_the_median_and_within_what_was_seen(repeats):
    spread = Spread.of(repeats)
    assert min(repeats) == spread.least <= spread.low <= spread.median <= spread.high <= spread.most == max(repeats)


def test_the_worst_repeat_stands_beside_the_median():
    spread = Spread.of([2.0, 1.0, 3.0])
    named = {"x_median": 2.0, "x_median_low": 1.0, "x_median_high": 3.0}
    assert spread.figures("x", worst=spread.most) == {**named, "x_worst": 3.0}
