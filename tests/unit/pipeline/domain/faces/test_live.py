"""The two live rates of face models count people, not checks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pipeline.domain.faces.live import FaceTally, live_rates, rate_of_people
from pipeline.domain.statistics import Interval, wilson

COUNTS = st.lists(st.integers(0, 30).flatmap(lambda checks: st.tuples(st.integers(0, checks), st.just(checks))))


def test_the_two_rates_of_each_version_have_denominators_of_their_own():
    tallies = [
        FaceTally("v1.0.0", "kim", genuine=8, refused=2, accepted=7, wrong=1),
        FaceTally("v1.0.0", "lee", genuine=2, refused=0, accepted=3, wrong=1),
        FaceTally("v1.1.0", "lee", genuine=0, refused=0, accepted=0, wrong=0),
    ]
    first, second = live_rates(reversed(tallies))
    refused, accepted = first.wrongly_refused, first.wrongly_accepted
    assert (first.version, refused.failed, refused.checks, refused.people, refused.share) == ("v1.0.0", 2, 10, 2, 0.2)
    assert (accepted.failed, accepted.checks, accepted.people, accepted.share) == (2, 10, 2, 0.2)
    assert (second.version, second.wrongly_refused.share) == ("v1.1.0", None)
    assert second.wrongly_accepted.interval == Interval(0.0, 1.0)


def test_who_is_not_named_is_refused_wrongly_and_who_is_taken_for_another_is_counted_apart():
    tallies = [
        FaceTally("v1.0.0", "kim", genuine=4, refused=1, accepted=3, wrong=1, sought=3, unnamed=1),
        FaceTally("v1.0.0", "lee", genuine=2, refused=1, accepted=0, wrong=0, sought=2, unnamed=1, misnamed=1),
    ]
    (rates,) = live_rates(tallies)
    assert (rates.wrongly_refused.share, rates.unnamed.share, rates.misnamed.share) == (2 / 6, 2 / 5, 1 / 5)
    assert rates.unnamed.people == 2 and rates.misnamed.interval.low < 0.2 < rates.misnamed.interval.high


@given(st.integers(20, 300), st.integers(20, 300))
def test_of_people_who_come_once_the_interval_is_wilsons(failed, passed):
    rate = rate_of_people([(1, 1)] * failed + [(0, 1)] * passed)
    known = binomtest(failed, failed + passed).proportion_ci(0.95, method="wilson")
    assert (rate.interval.low, rate.interval.high) == pytest.approx((known.low, known.high))


@given(COUNTS, st.randoms())
def test_a_rate_lies_in_its_interval_whoever_is_named_first_and_checks_are_never_more_than_evidence(counts, dice):
    rate = rate_of_people(counts)
    assert (rate.failed, rate.checks) == tuple(sum(one[n] for one in counts) for n in (0, 1))
    alone = wilson(rate.failed, rate.checks)
    assert 0 <= rate.interval.low <= alone.low + 1e-9 and alone.high - 1e-9 <= rate.interval.high <= 1
    assert rate.share is None or rate.interval.low - 1e-9 <= rate.share <= rate.interval.high + 1e-9
    shuffled = list(counts)
    dice.shuffle(shuffled)
    assert rate_of_people(shuffled) == rate


def test_who_comes_every_day_is_one_piece_of_evidence():
    """Ten people were each refused a hundred times and ninety never: that is what ten of a hundred people say."""
    rate = rate_of_people([(100, 100)] * 10 + [(0, 100)] * 90)
    once = wilson(10, 100)
    assert (rate.interval.low, rate.interval.high) == pytest.approx((once.low, once.high))
    assert rate_of_people([(0, 1000), (0, 1000)]).interval.high == pytest.approx(wilson(0, 2).high)


# People who are refused alike, and people who are not: the variance between them is that of a beta distribution.
@pytest.mark.parametrize("visits", [3, 20])
@pytest.mark.parametrize(("share", "alike"), [(0.005, 1), (0.02, 2), (0.02, 50), (0.1, 2), (0.1, 20), (0.3, 5)])
def test_at_200_people_nine_of_ten_intervals_hold_the_true_rate(share, alike, visits):
    """What the promise is; Wilson's of single checks holds it in a third of the cases where people are unlike."""
    dice, held, cases = np.random.default_rng(17), 0, 100
    for _ in range(cases):
        of_each = dice.beta(share * alike, (1 - share) * alike, 200)
        checks = dice.geometric(1 / visits, 200)
        failed = dice.binomial(checks, of_each)
        interval = rate_of_people(list(zip(failed.tolist(), checks.tolist(), strict=True))).interval
        held += interval.low <= share <= interval.high
    assert held / cases >= 0.90
