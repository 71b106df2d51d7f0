"""People hear of what does not work when it begins or changes, twice a day while it lasts, and once when it is over."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.notices import notice_of
from pipeline.domain.troubles import Fault, Place
from pipeline.steps.tell_trouble import (
    note_success,
    tell_fault,
    tell_late,
    tell_overdue,
    tell_pauses,
    tell_problems,
    tell_recoveries,
)
from tests.fakes.events import FakeClock, FakeOutbox, FakeTroubles

DRAIN = Place("task_confirmed_intake", "drain")
RECONCILE = Place("live_accuracy_monitor", "reconcile")
CONSEQUENCES = {"model_rollback": "No rollback happens", "task_confirmed_intake": "No confirmation is taken in"}


class World:
    def __init__(self):
        self.outbox, self.clock = FakeOutbox(), FakeClock()
        self.troubles = FakeTroubles(self.outbox)

    def fails(self, reason="RabbitMQ is unavailable", part=-1, place=DRAIN):
        fault = Fault(place, part, "run-7", reason, "Mend the cause", "http://airflow/log")
        tell_fault(self.troubles, self.clock, fault)

    def works(self, part=-1, place=DRAIN):
        note_success(self.troubles, self.clock, place, part)

    def is_quiet(self, **time):
        """The monitor looks after some time."""
        self.passes(**(time or {"hours": 1}))
        tell_recoveries(self.troubles, self.clock)

    def looks(self, *paused):
        tell_pauses(self.troubles, self.clock, {dag: dag in paused for dag in CONSEQUENCES}, CONSEQUENCES)

    def sees(self, problem):
        tell_problems(self.troubles, self.clock, {"RabbitMQ": problem})

    def passes(self, **time):
        self.clock.at += timedelta(**time)

    def told(self):
        return [notice_of(event) for event in self.outbox.events.values()]


@pytest.fixture
def world():
    return World()


def test_a_failure_says_what_why_what_to_do_and_where_to_look(world):
    world.fails()
    (notice,) = world.told()
    assert notice.subject == "task_confirmed_intake: drain failed" and not notice.urgent
    for part in ("run-7", "RabbitMQ is unavailable", "Mend the cause", "http://airflow/log"):
        assert part in notice.body


def test_what_fails_again_and_again_is_told_twice_a_day(world):
    for _ in range(4 * 24):
        world.fails()
        world.passes(minutes=15)
    assert world.outbox.types() == ["StepFailedEvent"] * 2


def test_what_works_again_for_a_while_is_told_once(world):
    world.works()
    world.is_quiet()
    world.fails()
    world.works()
    world.is_quiet(minutes=30)
    assert world.outbox.types() == ["StepFailedEvent"]
    assert str(world.troubles.open()[0]).endswith("but not since 13:00")
    for _ in range(2):
        world.works()
        world.is_quiet()
    assert world.outbox.types() == ["StepFailedEvent", "StepRecoveredEvent"]
    world.fails()
    assert world.outbox.types()[2:] == ["StepFailedEvent"]


def test_what_fails_every_other_time_is_one_trouble(world):
    for _ in range(48):
        for act in (world.fails, world.works):
            act()
            world.is_quiet(minutes=15)
    assert world.outbox.types() == ["StepFailedEvent"] * 2


def test_another_reason_is_told_at_once_and_each_no_more_than_twice_a_day(world):
    for _ in range(4 * 24):
        world.fails("LAUNDRY: replica-1 is away", part=0, place=RECONCILE)
        world.fails("FACE: the manifest is damaged", part=1, place=RECONCILE)
        world.passes(minutes=15)
    assert [n.body.split(": ")[1] for n in world.told()] == ["LAUNDRY", "FACE"] * 2


@pytest.mark.parametrize(
    ("reason", "another"),
    [
        ("replica-1 is away", "replica-2 is away"),
        ("replica-1 is away", "replica-1 is away; replica-2 is away"),
        ("no answer from 10.0.0.1:8601", "no answer from 10.0.0.2:8601"),
        ("no answer from 10.0.0.1:8601", "no answer from 10.0.0.1:8602"),
    ],
)
def test_another_replica_is_another_reason(world, reason, another):
    world.fails(reason)
    world.fails(another)
    assert len(world.told()) == 2


@pytest.mark.parametrize(
    ("reason", "again"),
    [
        ("no answer within 10.2 s", "no answer within 9.87 s"),
        ("lock taken at 06:11:22", "lock taken at 07:40:01"),
        ("object 3f2a90bc11 is gone", "object 77be0a1d is gone"),
    ],
)
def test_the_same_reason_with_another_time_or_id_is_the_same(world, reason, again):
    world.fails(reason)
    world.fails(again)
    assert len(world.told()) == 1


def test_reasons_that_are_never_the_same_do_not_flood_people(world):
    for number in range(4 * 24):
        world.fails(f"{number} messages could not be stored")
        world.passes(minutes=15)
    assert len(world.told()) == 10


def test_one_copy_of_a_step_that_works_says_nothing_of_another_that_does_not(world):
    world.fails(part=0)
    world.fails(part=2)
    for part in (0, 1):
        world.works(part)
        world.is_quiet()
    assert "StepRecoveredEvent" not in world.outbox.types()
    world.works(part=2)
    world.is_quiet()
    assert world.outbox.types()[-1] == "StepRecoveredEvent"


def test_a_copy_that_the_next_run_does_not_have_does_not_fail_for_ever(world):
    world.fails(part=17)
    world.passes(days=1)
    world.works(part=0)
    world.is_quiet()
    assert world.outbox.types()[-1] == "StepRecoveredEvent" and not world.troubles.open()


def test_a_reason_that_no_database_could_keep_is_told_all_the_same(world):
    world.fails(reason="bad\x00byte " + "x" * 5000)
    (event,) = world.outbox.events.values()
    assert "\x00" not in event.payload["reason"] and len(event.payload["reason"]) == 1000


def test_a_paused_dag_is_told_with_what_does_not_happen_and_once_when_it_runs_again(world):
    for _ in range(3):
        world.looks("model_rollback")
    assert [n.subject for n in world.told()] == ["URGENT: model_rollback is paused"]
    assert "No rollback happens" in world.told()[0].body
    assert [str(t)[:28] for t in world.troubles.open()] == ["model_rollback is paused sin"]
    for _ in range(2):
        world.looks()
    assert [n.subject for n in world.told()][1:] == ["model_rollback runs again"]
    assert not world.troubles.open()


def test_a_problem_that_lasts_is_told_twice_a_day_and_once_when_it_is_over(world):
    for _ in range(4 * 24):
        world.sees("RabbitMQ is unavailable: no route")
        world.passes(minutes=15)
    assert [n.subject for n in world.told()] == ["RabbitMQ needs a person"] * 2
    assert "no route" in world.told()[0].body
    world.sees(None)
    world.is_quiet()
    assert [n.subject for n in world.told()][2:] == ["live_accuracy_monitor: RabbitMQ works again"]
    assert not world.troubles.open()


class SeenBefore(FakeTroubles):
    """What somebody knows who looked at the troubles before the other one kept anything."""

    def __init__(self, troubles):
        super().__init__(troubles.outbox, dict(troubles.known))
        self._kept = troubles

    def keep(self, trouble, event):
        self._kept.keep(trouble, event)


@pytest.mark.parametrize(
    "tell",
    [
        lambda world: world.sees("RabbitMQ is unavailable: no route"),
        lambda world: world.fails(),
        lambda world: world.looks("model_rollback"),
    ],
    ids=["a problem", "a failure", "a pause"],
)
def test_what_two_watchers_see_at_once_is_told_once_and_again_twice_a_day(world, tell):
    tell(world)
    kept, told = world.troubles, len(world.told())
    for again in range(1, 4):
        world.passes(hours=13)
        for world.troubles in (SeenBefore(kept), SeenBefore(kept)):
            tell(world)
            world.passes(seconds=1)
        assert len(world.told()) == told + again


def test_a_problem_of_a_moment_is_not_told_however_often_it_comes(world):
    for problem in ("RabbitMQ is unavailable: no route", None) * 8:
        world.sees(problem)
        world.is_quiet(minutes=15)
    assert world.told() == []


@pytest.mark.parametrize(
    ("place", "urgent"),
    [
        (Place("live_accuracy_monitor", "watch"), True),
        (RECONCILE, False),
        (DRAIN, False),
    ],
)
def test_what_keeps_bad_models_from_being_taken_down_is_urgent(world, place, urgent):
    world.fails(place=place)
    assert world.told()[0].urgent is urgent


def test_a_run_that_took_too_long_is_told_once_however_often_airflow_says_so(world):
    for _ in range(2):
        tell_overdue(world.outbox, world.clock, "model_rollback", "run-7", "http://airflow/grid")
    (notice,) = world.told()
    assert "run-7" in notice.body and "http://airflow/grid" in notice.body


def test_a_run_that_goes_on_too_long_is_told_once(world):
    for _ in range(2):
        tell_late(world.outbox, world.clock, "laundry_model_retraining", "run-7", "http://airflow/grid")
    (notice,) = world.told()
    assert "run-7 still goes on" in notice.body and "http://airflow/grid" in notice.body and not notice.urgent


@pytest.mark.parametrize(("place", "open_after"), [(Place("model_decision", "carry_out"), 0), (DRAIN, 1)])
def test_a_failure_of_what_runs_on_demand_ends_half_a_day_after_the_last_one(world, place, open_after):
    world.fails(place=place)
    world.is_quiet(hours=11)
    world.fails(place=place)
    world.is_quiet(hours=11)
    assert len(world.troubles.open()) == 1
    world.is_quiet(hours=1)
    assert len(world.troubles.open()) == open_after
    assert "StepRecoveredEvent" not in world.outbox.types()


@given(st.lists(st.tuples(st.sampled_from(["fails", "works", "half an hour"]), st.integers(0, 2)), max_size=60))
def test_every_trouble_is_told_before_it_is_over_and_none_is_forgotten(acts):
    """After any sequence: what failed last is known to people, and no news comes without news before it."""
    world, broken = World(), set()
    for act, part in acts:
        if act == "half an hour":
            world.is_quiet(minutes=30)
        elif act == "fails":
            world.fails(f"copy {part} is damaged", part)
            broken.add(part)
        else:
            world.works(part)
            broken.discard(part)
    for _ in range(3):
        world.is_quiet(minutes=30)
    told = world.outbox.types()
    assert bool(world.troubles.open()) or not broken
    assert not world.troubles.open() or told[-1] == "StepFailedEvent"
    assert all(not (a == b == "StepRecoveredEvent") for a, b in zip(["StepRecoveredEvent", *told], told, strict=False))
