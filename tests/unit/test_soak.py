"""What a soak calls a fault, of figures and ends that are known."""

from random import Random

import pytest

from include.contract.lifecycle_client import FaceserveError
from pipeline.domain.errors import GiveUp, ServiceUnavailable
from tests.faults.world import PROGRAMS
from tests.soak.striking import in_turn
from tests.soak.table import Outcome, faults_of, lines
from tests.soak.tally import DONE, LATER, REFUSED, WRONG, Act, Tally
from tests.soak.watching import Sample, growth
from tests.waiting import WaitedInVain

STEADY = {"memory MB": 500.0, "descriptors": 40.0, "threads": 9.0}
CALM = {"minutes": 60.0, "requests": 1_000_000, "refusals": (), "ends": {"intake": {DONE: 9}}, "wrong": ()}


def a_life(seconds, **at_the_end):
    """Looked at every ten seconds; `at_the_end` is reached evenly."""
    looks = range(0, seconds + 1, 10)
    grown = [
        {name: value + (at_the_end.get(name, value) - value) * at / seconds for name, value in STEADY.items()}
        for at in looks
    ]
    return [Sample(float(at), figures) for at, figures in zip(looks, grown, strict=True)]


def too_much(samples):
    return [one.figure for one in growth("faceserve_1", samples) if one.too_much]


@pytest.mark.parametrize(("figure", "leaked"), [("memory MB", 560.0), ("descriptors", 80.0), ("threads", 30.0)])
def test_what_grows_steadily_over_an_hour_is_named(figure, leaked):
    assert too_much(a_life(3600, **{figure: leaked})) == [figure]


def test_what_stays_as_it_is_is_not():
    assert too_much(a_life(3600)) == []


def test_a_program_may_take_what_it_needs_in_its_first_minute():
    warming = [Sample(float(at), {**STEADY, "memory MB": 100.0}) for at in range(0, 60, 10)]
    assert too_much([*warming, *(Sample(at.at + 60, at.figures) for at in a_life(1200))]) == []


@pytest.mark.parametrize("seconds", [0, 10, 60, 120])
def test_of_a_short_life_nothing_is_said(seconds):
    assert too_much(a_life(seconds or 10, threads=900.0)[: seconds // 10 + 1]) == []


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (GiveUp("no"), REFUSED),
        (ServiceUnavailable("the mlops database", "gone"), LATER),
        (FaceserveError("127.0.0.1:1", "UNAVAILABLE", "gone"), LATER),
        (FaceserveError("127.0.0.1:1", "INTERNAL", "a fault of ours"), WRONG),
        (ConnectionRefusedError(), LATER),
        (WaitedInVain("waited 60 s"), WRONG),
        (KeyError("a fault of ours"), WRONG),
    ],
)
def test_only_refusals_and_what_is_away_are_ends_that_a_fault_may_bring(error, end):
    def fail():
        raise error

    tally = Tally()
    tally.played(Act("intake", 0.0, fail))
    assert dict(tally.ends["intake"]) == {end: 1}
    assert bool(tally.wrong) == (end == WRONG)


def test_each_program_lives_half_of_the_time_unharmed():
    harm = {f"{name} is killed": name for name in PROGRAMS} | {f"{name} hangs": name for name in PROGRAMS}
    now = [0.0]
    struck = in_turn(harm, Random(3), lambda: now[0] < 30)
    first = [harm[next(struck)] for _ in range(40)]
    now[0] = 31
    second = [harm[next(struck)] for _ in range(40)]
    assert set(first) | set(second) == set(PROGRAMS)
    assert not set(first) & set(second)


def test_a_calm_hour_has_no_faults():
    larger = {"rows": ({"transitions": 1}, {"transitions": 9}), "megabytes": ({"postgres": 40.0}, {"postgres": 900.0})}
    outcome = Outcome(**CALM, broken={"I1": []}, **larger)
    assert faults_of(outcome) == []
    assert "everything held" in list(lines(outcome))


@pytest.mark.parametrize(
    "fault",
    [
        {"refusals": ("127.0.0.1:1: UNAVAILABLE",)},
        {"wrong": ("intake: KeyError",)},
        {"ends": {"intake": {LATER: 9}}},
        {"broken": {"I1": ["TASK-1 is neither stored nor a dead letter"]}},
        {"grown": growth("helper", a_life(3600, threads=90.0))},
        {"rows": ({"scratch": 0}, {"scratch": 5})},
        {"rows": ({"outbox": 5}, {"outbox": 9_000_000})},
        {"megabytes": ({"s3": 1.0}, {"s3": 99_999.0})},
        {"ends": {"intake": {DONE: 1, LATER: 3000}}},
    ],
)
def test_whatever_nobody_promised_is_said_at_the_end(fault):
    outcome = Outcome(**{**CALM, **fault})
    (sentence,) = faults_of(outcome)
    assert list(lines(outcome))[-2:] == ["does not hold:", f"  {sentence}"]
