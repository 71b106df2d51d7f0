"""What is made of the requests that a benchmark of serving sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceserve.load_test import Request
from include.bench.serving.callers import picture
from include.bench.serving.changing import as_felt, slowest_ms
from include.bench.serving.load import Pace
from include.bench.serving.memory import Swapped

CHANGES = [[(10.0, 20.0), (10.0, 18.0), (18.0, 20.0)], [(30.0, 40.0), (30.0, 38.0), (38.0, 40.0)]]


def sent(begin, end, milliseconds, a_second=50):
    return [Request(begin + n / a_second, milliseconds, "OK", "v1.0.0") for n in range(int((end - begin) * a_second))]


@given(st.floats(2, 1000), st.sampled_from([(10, 18), (30, 38), (18, 20), (38, 40)]))
def test_slow_answers_in_any_phase_of_a_change_are_seen(slow_ms, phase):
    requests = [*sent(10, 20, 1.0), *sent(30, 40, 1.0), *sent(*phase, slow_ms)]
    assert slowest_ms(requests, CHANGES) == pytest.approx(slow_ms)


def test_what_is_slow_between_changes_does_not_count():
    requests = [*sent(10, 20, 1.0), *sent(20, 30, 99.0), *sent(30, 40, 1.0)]
    assert slowest_ms(requests, CHANGES) == 1.0


def test_a_phase_with_few_requests_counts_as_part_of_its_change_alone():
    """The one slow request of a hundred thousand would else be the hundredth part of its phase."""
    requests = [*sent(10, 18, 1.0), *sent(18, 20, 1.0, a_second=20), Request(19.99, 99.0, "OK", "")]
    assert slowest_ms(requests, CHANGES[:1]) == 1.0


def test_a_refusal_is_worse_than_any_answer():
    assert as_felt(Request(1.0, 0.3, "RESOURCE_EXHAUSTED", "")).milliseconds == 10_000
    assert as_felt(Request(1.0, 0.3, "OK", "v1.0.0")).milliseconds == 0.3


def test_memory_has_drifted_by_what_the_late_swaps_take_more_than_the_early_ones():
    assert Swapped([100.0, 101.0, 500.0], [102.0, 103.02, 90.0], [], 0).drift_percent == pytest.approx(100 / 101)


def test_the_same_paces_give_the_same_picture():
    paces = {number: [Pace(rate * number, 1.0, 1.0, 2.0, 0) for rate in (1.0, 1.5)] for number in (1, 2, 64)}
    assert picture(paces, "a network") == picture(paces, "a network")
    other = {**paces, 64: [Pace(9.0, 1.0, 1.0, 2.0, 0)]}
    assert picture(paces, "a network") != picture(other, "a network")
