"""Intervals and tests against figures from textbooks and from scipy."""

import math
import random

import pytest
from scipy import stats

from pipeline.domain.statistics import (
    Interval,
    binomial_lower_bound,
    binomial_tail,
    binomial_upper_bound,
    bootstrap_lower_bound,
    mcnemar,
    wilson,
)

COUNTS = [(0, 1), (1, 1), (0, 20), (18, 20), (20, 20), (35, 100), (540, 600), (1900, 2000)]


def test_eighteen_of_twenty_may_be_seventy_or_ninety_seven_percent():
    found = wilson(18, 20)
    assert (round(found.low, 2), round(found.high, 2)) == (0.70, 0.97)


@pytest.mark.parametrize(("successes", "trials"), COUNTS)
def test_wilson_intervals_are_scipys(successes, trials):
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    found = wilson(successes, trials)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "trials"), COUNTS)
def test_exact_bounds_are_scipys(successes, trials):
    lower = stats.binomtest(successes, trials, alternative="greater").proportion_ci(0.95).low
    upper = stats.binomtest(successes, trials, alternative="less").proportion_ci(0.95).high
    assert binomial_lower_bound(successes, trials) == pytest.approx(lower, abs=1e-9)
    assert binomial_upper_bound(successes, trials) == pytest.approx(upper, abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_tails_are_scipys(share):
    for successes in range(13):
        assert binomial_tail(successes, 12, share) == pytest.approx(stats.binom.sf(successes - 1, 12, share), abs=1e-12)


def test_nothing_measured_says_nothing():
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert (binomial_lower_bound(0, 0), binomial_upper_bound(0, 0)) == (0.0, 1.0)
    assert mcnemar(0, 0) == 1.0
    assert math.isnan(bootstrap_lower_bound([], []))


def test_more_successes_than_trials_are_no_count():
    for measure in (wilson, binomial_lower_bound, binomial_upper_bound):
        with pytest.raises(ValueError, match="3 of 2 is no count"):
            measure(3, 2)


@pytest.mark.parametrize(("wins", "losses"), [(5, 0), (9, 1), (15, 5), (20, 10)])
def test_these_many_wins_are_significant_and_one_fewer_is_not(wins, losses):
    assert mcnemar(wins, losses) < 0.05 <= mcnemar(wins - 1, losses + 1)
    assert mcnemar(wins, losses) == pytest.approx(stats.binomtest(wins, wins + losses, alternative="greater").pvalue)


def test_near_duplicates_make_a_gain_less_sure_than_as_many_independent_photos():
    differences = [1.0] * 12 + [-1.0] * 8 + [0.0] * 180
    alone = [f"{n}" for n in range(200)]
    bursts = [f"{n // 4}" for n in range(200)]
    assert bootstrap_lower_bound(differences, bursts) < bootstrap_lower_bound(differences, alone) < 0.02


def test_the_bound_does_not_depend_on_the_order_of_photos():
    pairs = [(random.Random(n).choice([-1.0, 0.0, 1.0]), f"{n % 40}") for n in range(100)]
    first = bootstrap_lower_bound(*zip(*pairs, strict=True))
    random.Random(1).shuffle(pairs)
    assert bootstrap_lower_bound(*zip(*pairs, strict=True)) == first


def test_the_bootstrap_bound_holds_about_as_often_as_it_says():
    """400 worlds with a true difference of 2 pp: the bound lies below it in about 95 % of them."""
    draw, held = random.Random(3), 0
    for _ in range(400):
        differences = draw.choices([1.0, -1.0, 0.0], [0.05, 0.03, 0.92], k=300)
        held += bootstrap_lower_bound(differences, [f"{n}" for n in range(300)], resamples=200) <= 0.02
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.99])
def test_other_confidences_are_scipys_too(confidence):
    test = stats.binomtest(18, 20)
    expected = test.proportion_ci(confidence, method="wilson")
    found = wilson(18, 20, confidence)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    lower = stats.binomtest(18, 20, alternative="greater").proportion_ci(confidence).low
    upper = stats.binomtest(18, 20, alternative="less").proportion_ci(confidence).high
    assert binomial_lower_bound(18, 20, confidence) == pytest.approx(lower, abs=1e-9)
    assert binomial_upper_bound(18, 20, confidence) == pytest.approx(upper, abs=1e-9)


@pytest.mark.parametrize(("confidence", "bound"), [(0.95, -1), (0.6, 0.5), (0.4, 0.5), (0.1, 1)])
def test_drawing_two_clusters_of_unequal_size_gives_the_mean_of_photos_not_of_clusters(confidence, bound):
    """Three photos won against one lost: both drawn alike in a half of all draws, each alone in a quarter."""
    assert bootstrap_lower_bound([1, 1, 1, -1], ["a", "a", "a", "b"], confidence=confidence) == bound


def test_the_bound_of_one_draw_is_that_draw():
    assert bootstrap_lower_bound([0.5, 0.5], ["a", "b"], resamples=1) == 0.5


def test_differences_without_a_cluster_are_refused():
    with pytest.raises(ValueError, match="zip"):
        bootstrap_lower_bound([1.0, 0.0], ["a"])


def test_fewer_than_no_successes_or_losses_are_no_count():
    with pytest.raises(ValueError, match=r"^-1 of 2 is no count of successes$"):
        binomial_tail(-1, 2, 0.5)
    with pytest.raises(ValueError, match="3 of 1 is no count"):
        mcnemar(3, -2)
