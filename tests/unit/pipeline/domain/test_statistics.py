"""Intervals and tests against figures from textbooks and from scipy."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from include.bench.verdicts.paired_coverage import coverage
from pipeline.domain.statistics import (
    Interval,
    binomial_lower_bound,
    binomial_tail,
    binomial_upper_bound,
    difference,
    log_times_likelier_below,
    log_times_likelier_equal,
    mcnemar,
    paired_lower_bound,
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


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    # Newcombe 1998, table II, method 10.
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((0, 10), (0, 20), -0.1611, 0.2775)],
)
def test_how_far_two_shares_lie_apart_is_newcombes(first, second, low, high):
    found = difference(first, second)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    turned = difference(second, first)
    assert (turned.low, turned.high) == pytest.approx((-high, -low), abs=5e-5)


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
    assert math.isnan(paired_lower_bound(0, 0, 0))


def test_more_successes_than_trials_are_no_count():
    for measure in (wilson, binomial_lower_bound, binomial_upper_bound):
        with pytest.raises(ValueError, match="3 of 2 is no count"):
            measure(3, 2)


@pytest.mark.parametrize(("wins", "losses"), [(5, 0), (9, 1), (15, 5), (20, 10)])
def test_these_many_wins_are_significant_and_one_fewer_is_not(wins, losses):
    assert mcnemar(wins, losses) < 0.05 <= mcnemar(wins - 1, losses + 1)
    assert mcnemar(wins, losses) == pytest.approx(stats.binomtest(wins, wins + losses, alternative="greater").pvalue)


@pytest.mark.parametrize(
    ("wins", "losses", "pairs", "low", "high"),
    [(40, 20, 160, 0.03087, 0.21806), (12, 2, 50, 0.06111, 0.34471), (0, 0, 100, -0.03699, 0.03699)],
)
def test_a_paired_difference_has_tangos_interval(wins, losses, pairs, low, high):
    """The first two are the examples of other programs: R's `scoreci.mp`, and Newcombe's paper."""
    assert paired_lower_bound(wins, losses, pairs, 0.975) == pytest.approx(low, abs=1e-5)
    assert -paired_lower_bound(losses, wins, pairs, 0.975) == pytest.approx(high, abs=1e-5)


def _score_of_most_likely_shares(wins, losses, pairs, difference):
    """The score again, its nuisance share found by trying instead of by formula."""

    def unlikely(lost):
        shares = (lost + difference, lost, 1 - 2 * lost - difference)
        counts = (wins, losses, pairs - wins - losses)
        return -sum(count * math.log(max(share, 1e-300)) for count, share in zip(counts, shares, strict=True) if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    lost = optimize.minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return (wins - losses - pairs * difference) / math.sqrt(pairs * (2 * lost + difference * (1 - difference)))


@given(wins=st.integers(0, 40), losses=st.integers(0, 40), ties=st.integers(1, 900), sure=st.sampled_from([0.8, 0.95]))
def test_at_the_bound_the_score_of_the_likeliest_shares_is_just_that_improbable(wins, losses, ties, sure):
    pairs = wins + losses + ties
    low = paired_lower_bound(wins, losses, pairs, sure)
    assert _score_of_most_likely_shares(wins, losses, pairs, low) == pytest.approx(stats.norm.ppf(sure), abs=1e-3)


def test_one_loss_and_no_win_in_a_hundred_photos_may_be_four_points_and_a_clean_sheet_two_and_a_half():
    assert paired_lower_bound(0, 1, 100) == pytest.approx(-0.0436, abs=1e-4)
    assert paired_lower_bound(0, 0, 100) == pytest.approx(-0.0263, abs=1e-4)


@given(wins=st.integers(0, 30), losses=st.integers(0, 30), ties=st.integers(0, 300))
def test_a_win_more_never_lowers_the_bound_and_a_loss_more_never_raises_it(wins, losses, ties):
    pairs = wins + losses + ties + 1
    bound = paired_lower_bound(wins, losses, pairs)
    assert paired_lower_bound(wins, losses + 1, pairs) <= bound <= paired_lower_bound(wins + 1, losses, pairs)


@pytest.mark.parametrize("pairs", [50, 100, 300])
def test_the_paired_bound_holds_as_often_as_it_says(pairs):
    """Summed over every outcome; more photos: `make bench-verification`."""
    found = coverage(pairs)
    assert found.mean == pytest.approx(0.95, abs=0.01)
    # Counts jump: no bound can hold exactly so often for every truth.
    assert found.least > 0.92
    assert found.worse_passes < 0.06


def _best(first, second, margin):
    """The likelihood of both counts with the best common share, found by scipy."""

    def unlikely(share):
        return -(stats.binom.logpmf(*first, share - margin) + stats.binom.logpmf(*second, share))

    found = optimize.minimize_scalar(unlikely, bounds=(margin, 1), method="bounded", options={"xatol": 1e-12})
    return -found.fun


@given(data=st.data(), trials=st.integers(1, 300), others=st.integers(1, 3000), margin=st.sampled_from([0.02, 0.15]))
def test_how_much_likelier_equal_shares_are_is_what_scipys_likelihoods_say(data, trials, others, margin):
    first = data.draw(st.integers(1, trials)), trials
    second = data.draw(st.integers(0, others)), others
    found = log_times_likelier_equal(first, second, margin)
    assert found == pytest.approx(_best(first, second, 0) - _best(first, second, margin), abs=1e-3, rel=1e-3)


@pytest.mark.parametrize(("lower_by", "wrong"), [(0.05, "equal"), (0.0, "lower")])
def test_looking_again_and_again_is_wrong_as_rarely_as_one_look_may_be(lower_by, wrong):
    """Wald's promise, a hundred times: about one in twenty at most ends on the wrong side, whenever one stops."""
    ended = [_looked_at_until_sure(random.Random(n), 0.97, lower_by) for n in range(100)]
    assert ended.count(wrong) <= 10
    assert ended.count("open") <= 5


def _looked_at_until_sure(draw, share, lower_by):
    first, second, sure = [0, 0], [0, 0], math.log(20)
    for _ in range(200):
        first[0] += sum(draw.random() < share - lower_by for _ in range(2))
        second[0] += sum(draw.random() < share for _ in range(18))
        first[1], second[1] = first[1] + 2, second[1] + 18
        evidence = log_times_likelier_equal(tuple(first), tuple(second), 0.05)
        if abs(evidence) >= sure:
            return "equal" if evidence > 0 else "lower"
    return "open"


def test_without_answers_nothing_is_likelier():
    assert log_times_likelier_equal((0, 0), (0, 0), 0.05) == 0.0


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


def test_fewer_than_no_successes_or_losses_are_no_count():
    with pytest.raises(ValueError, match=r"^-1 of 2 is no count of successes$"):
        binomial_tail(-1, 2, 0.5)
    with pytest.raises(ValueError, match="3 of 1 is no count"):
        mcnemar(3, -2)
    with pytest.raises(ValueError, match="3 of 2 is no count"):
        paired_lower_bound(2, 1, 2)
    with pytest.raises(ValueError, match="3 of 2 is no count"):
        paired_lower_bound(3, -1, 9)


@pytest.mark.parametrize("true", [0.8, 0.85, 0.95])
@pytest.mark.parametrize("error", [0.01, 0.05])
def test_however_often_one_looks_a_share_that_is_not_below_is_seldom_taken_for_one(true, error):
    """Exact: the probability of every count that no look has condemned yet."""
    undecided, condemned = {0: 1.0}, 0.0
    for trials in range(1, 301):
        after: dict[int, float] = {}
        for successes, probability in undecided.items():
            after[successes] = after.get(successes, 0.0) + probability * (1 - true)
            after[successes + 1] = after.get(successes + 1, 0.0) + probability * true
        beyond = [k for k in after if log_times_likelier_below((k, trials), 0.8) >= -math.log(error)]
        condemned += sum(after.pop(k) for k in beyond)
        undecided = {k: probability for k, probability in after.items() if probability > 1e-9}
    assert condemned <= error
    assert condemned > 0


def test_a_share_that_is_below_is_found_out():
    assert log_times_likelier_below((30, 60), 0.8) > math.log(100)
    assert log_times_likelier_below((50, 60), 0.8) < 0
    assert log_times_likelier_below((0, 1), 1.0) > math.log(100)
