"""Two rates of error, and how sure they are: people are drawn, not pairs."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.faces.rates import (
    Impostor,
    Trials,
    decided,
    far_interval,
    tar_gained,
    tar_interval,
    threshold_for,
)

SCORES = st.floats(-1, 1, width=32)


@st.composite
def some_trials(draw):
    """A few people with a few photos each, and every pair of them."""
    photos = draw(st.lists(st.integers(1, 3), min_size=2, max_size=6))
    mates = tuple(tuple(draw(SCORES) for _ in range(n * (n - 1) // 2)) for n in photos)
    pairs = [
        (a, b) for a in range(len(photos)) for b in range(a + 1, len(photos)) for _ in range(photos[a] * photos[b])
    ]
    impostors = sorted((Impostor(draw(SCORES), a, b) for a, b in pairs), key=lambda pair: -pair.score)
    return Trials(tuple(photos), mates, tuple(impostors))


def people(count, *, accepted=2, wrong=()):
    """Each with two photos; everybody is accepted at 0.5 but those whose number is over `accepted`; `wrong` pairs."""
    mates = tuple((0.9,) if number < accepted else (0.1,) for number in range(count))
    impostors = tuple(Impostor(0.7, a, b) for a, b in wrong) + (Impostor(-0.5, 0, 1),)
    return Trials((2,) * count, mates, impostors)


def shares(trials, threshold):
    mates = [score >= threshold for scores in trials.mates for score in scores]
    impostors = [pair.score >= threshold for pair in trials.impostors]
    return (sum(mates) / len(mates) if mates else math.nan, sum(impostors) / len(impostors))


@given(some_trials(), SCORES)
def test_with_everybody_drawn_once_the_rates_are_shares_of_pairs(trials, threshold):
    errors, once = decided(trials, threshold), [1] * trials.identities
    tar, far = shares(trials, threshold)
    assert errors.tar(once) == pytest.approx(tar, nan_ok=True)
    assert errors.far(once) == pytest.approx(far)


@given(some_trials(), SCORES, st.data())
def test_somebody_drawn_twice_counts_twice_and_is_no_impostor_of_himself(trials, threshold, data):
    weights = data.draw(st.lists(st.integers(0, 3), min_size=trials.identities, max_size=trials.identities))
    pairs = [weights[pair.first] * weights[pair.second] for pair in trials.impostors]
    wrong = [w for w, pair in zip(pairs, trials.impostors, strict=True) if pair.score >= threshold]
    far = decided(trials, threshold).far(weights)
    assert far == pytest.approx(sum(wrong) / sum(pairs) if sum(pairs) else math.nan, nan_ok=True)


@given(some_trials(), st.sampled_from([0.0, 0.05, 0.3, 0.9]))
def test_a_threshold_keeps_its_promise_on_the_people_it_was_chosen_by(trials, far):
    threshold = threshold_for(trials, far)
    assert decided(trials, threshold).far([1] * trials.identities) <= far + 1e-12


@given(some_trials(), st.sampled_from([0.05, 0.3]))
def test_more_confidence_never_lowers_a_threshold(trials, far):
    assert threshold_for(trials, far, confidence=0.99) >= threshold_for(trials, far, confidence=0.5)


def test_what_was_not_listed_is_not_taken_for_none():
    trials = Trials((2, 2), ((0.9,), (0.9,)), (Impostor(0.7, 0, 1),))
    known = decided(trials, 0.5)
    assert (known.more, known.far([1, 1]), far_interval(known).high) == (True, 0.25, 1.0)
    assert (decided(trials, 0.71).more, decided(trials, 0.71).far([1, 1])) == (False, 0)
    assert math.isnan(threshold_for(trials, 0.9))
    assert math.isnan(threshold_for(Trials((2, 2), ((0.9,), (0.9,)), ()), 0.9))


def test_few_people_leave_a_wide_interval_and_many_a_narrow_one():
    few, many = (tar_interval(decided(people(n, accepted=n * 9 // 10), 0.5)) for n in (20, 500))
    assert few.low < many.low < 0.9 < many.high < few.high
    assert many.high - many.low == pytest.approx(0.0526, abs=0.01)


def test_no_false_accept_is_not_a_rate_of_zero():
    few, many = (far_interval(decided(people(n), 0.5)) for n in (20, 200))
    assert few.low == many.low == 0
    assert few.high == pytest.approx(0.0157, abs=1e-3)
    assert many.high < 1e-3 / 6


def test_one_pair_of_lookalikes_is_as_unsure_as_two_people_are():
    """All false accepts in one pair of people: half of the draws see none of them, the others see all."""
    errors = decided(people(100, wrong=[(0, 1)] * 4), 0.5)
    pairs = 4 * 100 * 99 / 2
    interval = far_interval(errors)
    assert interval.low == 0
    assert interval.high > 3 * 4 / pairs


def test_a_gain_is_seen_on_the_same_people():
    worse, better = (decided(people(100, accepted=n), 0.5) for n in (80, 90))
    gained = tar_gained(better, worse)
    assert 0.03 < gained.low < 0.1 < gained.high < 0.17
    same = tar_gained(worse, worse)
    assert same.low == same.high == 0


def test_models_that_were_asked_about_other_people_are_not_compared():
    with pytest.raises(ValueError, match="not asked about the same people"):
        tar_gained(decided(people(10), 0.5), decided(people(11), 0.5))
