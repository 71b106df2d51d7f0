"""Triggers only look, wait through outages, and survive a restart of the triggerer."""

import asyncio
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from airflow.sdk.exceptions import TaskDeferred

from dags.task_confirmed_intake import task_confirmed_intake
from pipeline.bootstrap import GiveUp, TryAgain
from pipeline.domain.intake import IntakePolicy
from plugins import polling
from plugins.model_rollout.trigger import CanaryQuestionTrigger, CanaryTrigger, RollbackQuestionTrigger
from plugins.task_events.trigger import TaskEventsTrigger
from tests.dags.running import DagRun
from tests.desk import PLAN, Turns

AWAY = TryAgain("RabbitMQ is away")
SOON = datetime.now(UTC) + timedelta(hours=1)
INTAKE = task_confirmed_intake()


@pytest.fixture
def naps(monkeypatch):
    """How long a trigger slept, in seconds, without sleeping."""
    found = []

    async def sleep(seconds):
        found.append(seconds)

    monkeypatch.setattr(polling.asyncio, "sleep", sleep)
    return found


def fire(trigger):
    return asyncio.run(anext(trigger.run())).payload


def question(**more):
    return RollbackQuestionTrigger("LAUNDRY", "previous", "v1.2.0", **{"deadline": SOON, **more})


def test_it_fires_when_the_first_message_waits(desk, naps):
    desk.answers["waiting_events"] = Turns([0, 0, 3])
    assert fire(TaskEventsTrigger()) == {"waiting": 3}
    assert naps == [5.0, 5.0, 5.0]


def test_while_something_is_away_it_looks_less_often_and_then_as_before(desk, naps):
    desk.answers["waiting_events"] = Turns([*[AWAY] * 5, 0, 0, 1])
    assert fire(TaskEventsTrigger()) == {"waiting": 1}
    assert naps == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 5.0, 5.0]


def test_a_few_messages_wait_for_more(desk, naps):
    desk.answers["worth_an_intake"] = IntakePolicy(enough_messages=10).worth_a_run
    desk.answers["waiting_events"] = Turns([3, 9, 10])
    with pytest.raises(TaskDeferred):
        DagRun(INTAKE).do("wait_for_events")
    assert fire(TaskEventsTrigger()) == {"waiting": 10}


def test_a_few_messages_do_not_wait_for_ever(desk, naps):
    desk.answers["worth_an_intake"] = IntakePolicy(enough_messages=10, longest_wait_seconds=0.05).worth_a_run
    desk.answers["waiting_events"] = 3
    assert fire(TaskEventsTrigger()) == {"waiting": 3}


def test_a_sensor_with_messages_waiting_does_not_wait(desk):
    desk.answers["waiting_events"] = 2
    assert DagRun(INTAKE).do("wait_for_events") == {"waiting": 2}


def test_a_sensor_waits_for_what_is_away_as_for_a_message_and_fails_no_run(desk, naps):
    """An hour of outage: RabbitMQ does not answer, or the database could not store what waits."""
    desk.answers["waiting_events"] = Turns([AWAY] * 60 + [3])
    run = DagRun(INTAKE)
    with pytest.raises(TaskDeferred) as deferred:
        run.do("wait_for_events")
    assert fire(deferred.value.trigger) == {"waiting": 3}
    assert sum(naps) > 3000


def test_what_goes_away_in_the_middle_of_the_intake_is_tried_again_for_an_hour():
    for task in INTAKE.tasks:
        pause, seconds = task.retry_delay.total_seconds(), 0.0
        for _ in range(task.retries):
            seconds += min(pause, task.max_retry_delay.total_seconds())
            pause *= task.retry_exponential_backoff
        assert seconds > 3600


def test_a_sensor_without_messages_waits_without_a_worker_and_hands_on_what_came(desk):
    desk.answers["waiting_events"] = 0
    run = DagRun(INTAKE)
    with pytest.raises(TaskDeferred) as deferred:
        run.do("wait_for_events")
    assert isinstance(deferred.value.trigger, TaskEventsTrigger)
    left = deferred.value.trigger.about["until"] - datetime.now(UTC)
    assert timedelta(hours=5, minutes=59) < left <= timedelta(hours=6)
    assert run.do("wait_for_events", method=deferred.value.method_name, event={"waiting": 1}) == {"waiting": 1}


@pytest.mark.parametrize("waiting", [0, 3])
def test_a_wait_that_is_over_ends_by_itself_with_what_there_is(desk, naps, waiting):
    desk.answers["waiting_events"] = waiting
    assert fire(TaskEventsTrigger(datetime.now(UTC))) == {"waiting": waiting}


def test_ten_silent_periods_in_a_row_leave_no_failed_task(desk, naps):
    """A deferral that Airflow has to end is a red run without another try (`AirflowSensorTimeout`)."""
    desk.answers["waiting_events"] = 0
    for _ in range(10):
        run = DagRun(INTAKE)
        with pytest.raises(TaskDeferred) as deferred:
            run.do("wait_for_events")
        assert deferred.value.timeout is None
        silence = fire(TaskEventsTrigger(datetime.now(UTC)))
        run.do("wait_for_events", method=deferred.value.method_name, event=silence)
        assert run.results["wait_for_events"] == {"waiting": 0}


def test_a_canary_is_looked_at_until_there_is_a_verdict(desk, naps):
    verdict = {"decision": "promote", "reason": "92/100 right"}
    desk.answers["judge_canary"] = Turns([{"decision": "wait"}, AWAY, verdict])
    assert fire(CanaryTrigger("LAUNDRY", "v1.1.0", begun_by="run-1")) == verdict
    assert desk.asked[0] == ("judge_canary", ("LAUNDRY", "v1.1.0"), {"proven": False, "begun_by": "run-1"})
    assert naps == [5.0, 15.0, 30.0]


def test_a_canary_that_cannot_be_judged_is_aborted(desk, naps):
    desk.answers["judge_canary"] = GiveUp("v1.1.0 is not on trial")
    assert fire(CanaryTrigger("LAUNDRY", "v1.1.0")) == {"decision": "abort", "reason": "v1.1.0 is not on trial"}


def test_a_question_is_withdrawn_once_another_version_serves(desk, naps):
    desk.answers["rollback_plan"] = Turns([PLAN, AWAY, {**PLAN, "from_version": "v1.3.0"}])
    said = fire(question())
    assert said == {"withdrawn": "the question was about v1.2.0, but v1.3.0 serves by now"}
    assert desk.asked[0] == ("rollback_plan", ("LAUNDRY", "previous"), {})
    assert naps == [5.0, 15.0, 30.0]


def test_a_question_is_withdrawn_once_there_is_nothing_to_go_back_to(desk, naps):
    desk.answers["rollback_plan"] = GiveUp("v1.1.3 serves already")
    assert fire(question()) == {"withdrawn": "v1.1.3 serves already"}


def test_a_question_is_withdrawn_when_nobody_answered_in_time(desk, naps):
    assert fire(question(deadline=datetime.now(UTC))) == {"withdrawn": "nobody answered within 24 hours"}
    assert desk.asked == []


def test_a_canary_somebody_is_asked_about_is_judged_on_until_it_has_to_go(desk, naps):
    good, bad = {"decision": "promote", "reason": "92/100 right"}, {"decision": "abort", "reason": "3 errors in a row"}
    desk.answers["judge_canary"] = Turns([good, {"decision": "wait"}, AWAY, bad])
    assert fire(CanaryQuestionTrigger("LAUNDRY", "v1.1.0", SOON, begun_by="run-1")) == bad
    assert desk.asked[0] == ("judge_canary", ("LAUNDRY", "v1.1.0"), {"proven": True, "begun_by": "run-1"})
    assert naps == [5.0, 15.0, 15.0, 30.0]


def test_a_question_about_a_canary_ends_when_nobody_answered_in_time(desk, naps):
    said = fire(CanaryQuestionTrigger("LAUNDRY", "v1.1.0", datetime.now(UTC)))
    assert said == {"decision": "unanswered", "reason": "nobody answered within 24 hours"}
    assert desk.asked == []


KEPT = [
    TaskEventsTrigger(SOON, 7),
    CanaryTrigger("LAUNDRY", "v1.1.0", 7, begun_by="run-1"),
    CanaryQuestionTrigger("LAUNDRY", "v1.1.0", SOON, 7, begun_by="run-1"),
    question(poll_seconds=7),
]


def again(path, fields):
    module, name = path.rsplit(".", 1)
    return getattr(import_module(module), name)(**fields)


@pytest.mark.parametrize("trigger", KEPT, ids=lambda trigger: type(trigger).__name__)
def test_it_is_the_same_after_a_restart_of_the_triggerer(trigger):
    path, fields = trigger.serialize()
    assert again(path, fields).serialize() == (path, fields)
    assert again(path, fields).poll_seconds == 7 and type(again(path, fields)) is type(trigger)


@pytest.mark.parametrize("trigger", KEPT, ids=lambda trigger: type(trigger).__name__)
def test_what_another_release_kept_with_it_is_ignored(trigger):
    path, fields = trigger.serialize()
    assert again(path, {**fields, "first_delay_seconds": 5.0}).serialize() == (path, fields)
