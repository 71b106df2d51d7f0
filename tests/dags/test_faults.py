"""A task that failed for good tells people, one that works again says so, and nothing of it fails a task."""

from types import SimpleNamespace

import pytest
import structlog
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.callback_supervisor import execute_callback

from dags.live_accuracy_monitor import live_accuracy_monitor
from dags.model_retraining import laundry
from dags.task_confirmed_intake import task_confirmed_intake
from pipeline.bootstrap import Fault, GiveUp, Place, RunEnded, TryAgain
from plugins.faults import note_success, tell_failure, tell_overdue
from plugins.notices import publishing
from plugins.steps import step
from tests.dags.running import DagRun

INTAKE, MONITOR, RETRAINING = task_confirmed_intake(), live_accuracy_monitor(), laundry
AWAY = TryAgain("the mlops database is unavailable: gone")


@pytest.fixture
def sent(monkeypatch):
    """What left without the outbox."""
    found = []
    monkeypatch.setattr(publishing, "open_channels", lambda: {"notices_webhook": found.append})
    return found


def failed(dag, task_id, error, **run):
    return {**DagRun(dag, **run).context(task_id), "exception": error}


def gave_up(error):
    """As a task's own step ends when another try cannot help."""

    def call(_pipeline):
        raise error

    with pytest.raises(AirflowFailException) as raised:
        step(call)
    return raised.value


def test_what_failed_after_its_last_try_is_reported_with_the_advice_to_wait_or_clear(desk):
    tell_failure(failed(INTAKE, "drain", AWAY))
    (fault,) = desk.only("report_fault")
    assert fault == Fault(
        Place("task_confirmed_intake", "drain"),
        -1,
        "run-1",
        str(AWAY),
        "Every try failed: mend the cause, then clear the task, or leave it to the next run",
        "http://airflow/task_confirmed_intake/drain",
    )
    assert desk.names() == ["report_fault", "publish_events"]


def test_what_gave_up_is_reported_with_the_advice_to_mend_it(desk):
    tell_failure(failed(laundry, "collect", gave_up(GiveUp("one class only"))))
    (fault,) = desk.only("report_fault")
    assert fault.reason == "GiveUp: one class only"
    assert fault.advice == "Another try would end the same way: mend the cause, then clear the task"


def test_what_was_killed_is_reported_too(desk):
    tell_failure(failed(laundry, "train", None))
    assert desk.only("report_fault")[0].reason == "the task train was killed before it ended"


@pytest.mark.parametrize("task_id", ["decide", "finish"])
def test_a_verdict_is_no_fault_and_has_news_of_its_own(desk, task_id):
    refusal = gave_up(RunEnded("the model was refused"))
    tell_failure(failed(laundry, task_id, refusal))
    assert desk.names() == ["publish_events"]
    assert refusal.__cause__ is None and refusal.__suppress_context__, "no second traceback in the log"


def test_the_log_of_a_refusal_ends_with_figures_bars_and_what_to_do(desk, capsys):
    reasons = [
        "accuracy 0.861 on 120 validation photos, at least 0.900 needed",
        "얼룩 fell by 0.12, 0.10 allowed; " * 4,
    ]
    ended = RunEnded("the model was refused", reasons, "collect more photos of 불량", "http://mlflow/" + "r" * 120)
    tell_failure(failed(laundry, "decide", gave_up(ended)))
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("the model was refused")
    assert lines[start + 1] == f"  • {reasons[0]}"
    assert lines[start + 2].startswith("  • 얼룩 fell") and lines[start + 3].startswith("    ")
    assert lines[-3:-1] == ["What to do: collect more photos of 불량", f"Look at: {ended.link}"]
    assert lines[start - 1] == lines[-1] and all(len(line) <= 100 for line in lines[start - 1 : -2])


def test_the_log_of_a_fault_ends_with_the_reason_and_what_to_do(desk, capsys):
    tell_failure(failed(INTAKE, "drain", gave_up(GiveUp("a column is missing"))))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5:-1] == [
        "─" * 100,
        "task_confirmed_intake: drain failed",
        "  • GiveUp: a column is missing",
        "What to do: Another try would end the same way: mend the cause, then clear the task",
    ]


@pytest.mark.parametrize(
    ("before", "times"), [(None, 1), (SimpleNamespace(state="success"), 1), (SimpleNamespace(state="failed"), 0)]
)
def test_without_the_database_people_are_told_directly_and_not_at_every_run(desk, sent, before, times):
    desk.answers["report_fault"] = AWAY
    run = DagRun(MONITOR)
    run.before = before
    tell_failure({**run.context("watch"), "exception": AWAY})
    assert [notice["subject"] for notice in sent] == ["live_accuracy_monitor: watch failed"] * times


def test_who_cannot_know_what_was_told_before_tells(desk, sent):
    """The DAG processor may not ask Airflow about earlier runs."""
    desk.answers["report_fault"] = GiveUp("RETRAIN_EPOCHS is 'ten', but must be a whole number")
    context = failed(MONITOR, "watch", None)
    del context["ti"].get_previous_ti
    tell_failure(context)
    assert "RETRAIN_EPOCHS is 'ten'" in sent[0]["body"]


def test_a_success_is_kept_and_tells_nobody_by_itself(desk):
    note_success(DagRun(INTAKE).context("drain"))
    assert desk.only("report_success") == (Place("task_confirmed_intake", "drain"), -1)
    assert desk.names() == ["report_success"]


@pytest.mark.parametrize("error", [AWAY, GiveUp("a setting")])
def test_a_success_that_cannot_be_kept_stays_a_success(desk, error):
    desk.answers["report_success"] = error
    note_success(DagRun(INTAKE).context("drain"))
    assert desk.names() == ["report_success"]


@pytest.mark.parametrize(
    ("reason", "asked"), [("timed_out", ["report_overdue", "publish_events"]), ("task_failure", [])]
)
def test_only_a_run_that_took_too_long_speaks_for_itself(desk, reason, asked):
    tell_overdue({**DagRun(INTAKE).context("drain"), "reason": reason})
    tell_overdue({"dag": INTAKE, "run_id": "run-1", "reason": reason})
    assert desk.names() == asked * 2


def run_of_airflow(run_id="manual__2026-05-04T00:00:00+00:00"):
    """As Airflow's API tells a run."""
    return {"dag_run": {"dag_id": "laundry_model_retraining", "dag_run_id": run_id, "state": "running"}}


def missed(alert):
    """What Airflow's executor does once a run has missed its deadline."""
    return execute_callback(alert.callback.path, {"context": run_of_airflow()}, "", None, structlog.get_logger())


def test_of_a_retraining_that_goes_on_after_its_deadline_people_are_told_with_a_link_to_its_grid(desk):
    (alert,) = RETRAINING.deadline
    assert (alert.reference.reference_name, alert.interval) == (
        "DagRunQueuedAtDeadline",
        36 * 3600,
    )
    assert missed(alert) == (True, None)
    dag_id, run_id, link, ended = desk.only("report_overdue")
    assert (dag_id, run_id, ended) == (RETRAINING.dag_id, "manual__2026-05-04T00:00:00+00:00", ("ended", False))
    assert link.endswith("/dags/laundry_model_retraining/runs/manual__2026-05-04T00%3A00%3A00%2B00%3A00")


def test_a_late_run_is_told_of_at_once_when_it_cannot_be_kept(desk, sent):
    desk.answers["report_overdue"] = AWAY
    assert missed(RETRAINING.deadline[0]) == (True, None)
    assert "takes long" in sent[0]["subject"]
