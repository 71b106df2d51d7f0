"""People hear of what does not work when it begins, twice a day while it lasts, and once when it is over."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.notices import notice_of
from pipeline.domain.troubles import Fault, Place
from pipeline.steps.tell_trouble import tell_fault, tell_overdue, tell_pauses, tell_success
from tests.fakes.events import FakeClock, FakeOutbox, FakeTroubles

DRAIN = Place("task_confirmed_intake", "drain")
CONSEQUENCES = {"model_rollback": "No rollback happens", "task_confirmed_intake": "No confirmation is taken in"}


class World:
    def __init__(self):
        self.outbox, self.clock = FakeOutbox(), FakeClock()
        self.troubles = FakeTroubles(self.outbox)

    def fails(self, reason="RabbitMQ is unavailable", part=-1, place=DRAIN):
        fault = Fault(place, part, "run-7", reason, "Mend the cause", "http://airflow/log")
        tell_fault(self.troubles, self.clock, fault)

    def works(self, part=-1, place=DRAIN):
        return tell_success(self.troubles, self.clock, place, part)

    def looks(self, *paused):
        tell_pauses(self.troubles, self.clock, {dag: dag in paused for dag in CONSEQUENCES}, CONSEQUENCES)

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


def test_the_success_of_what_failed_before_is_told_once(world):
    assert not world.works()
    world.fails()
    assert (world.works(), world.works()) == (True, False)
    assert world.outbox.types() == ["StepFailedEvent", "StepRecoveredEvent"]
    world.fails()
    assert world.outbox.types()[2:] == ["StepFailedEvent"]


def test_one_copy_of_a_step_that_works_says_nothing_of_another_that_does_not(world):
    world.fails(part=0)
    assert not world.works(part=1)
    assert world.works(part=0)


def test_a_reason_that_no_database_could_keep_is_told_all_the_same(world):
    world.fails(reason="bad\x00byte " + "x" * 5000)
    (event,) = world.outbox.events.values()
    assert "\x00" not in event.payload["reason"] and len(event.payload["reason"]) == 1000


def test_a_paused_dag_is_told_with_what_does_not_happen_and_once_when_it_runs_again(world):
    for _ in range(3):
        world.looks("model_rollback")
    assert [n.subject for n in world.told()] == ["model_rollback is paused"]
    assert "No rollback happens" in world.told()[0].body
    assert [str(t)[:28] for t in world.troubles.open()] == ["model_rollback is paused sin"]
    for _ in range(2):
        world.looks()
    assert [n.subject for n in world.told()][1:] == ["model_rollback runs again"]
    assert not world.troubles.open()


def test_a_run_that_took_too_long_is_told_once_however_often_airflow_says_so(world):
    for _ in range(2):
        tell_overdue(world.outbox, world.clock, "model_rollback", "run-7", "http://airflow/grid")
    (notice,) = world.told()
    assert "run-7" in notice.body and "http://airflow/grid" in notice.body


@given(st.lists(st.sampled_from(["fails", "works", "an hour"]), max_size=60))
def test_every_trouble_is_told_before_it_is_over_and_none_is_forgotten(acts):
    """After any sequence: what failed last is known to people, and no news comes without news before it."""
    world, broken = World(), False
    for act in acts:
        if act == "an hour":
            world.passes(hours=1)
        else:
            getattr(world, act)()
            broken = act == "fails"
    assert bool(world.troubles.open()) is broken
    told = world.outbox.types()
    assert told.count("StepRecoveredEvent") <= told.count("StepFailedEvent")
    assert not told or told[0] == "StepFailedEvent"
    assert all(not (a == b == "StepRecoveredEvent") for a, b in zip(told, told[1:], strict=False))
    assert not told or (told[-1] == "StepFailedEvent") is broken
