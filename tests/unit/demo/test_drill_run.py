"""The drill leaves the system as it found it, whatever happens in its acts."""

import io

import pytest
from rich.console import Console

from include.demo.drill import INTAKE, MONITOR, PROMOTION, RETENTION, RETRAINING, ROLLBACK, Drill
from include.demo.drill_world import History
from include.demo.stage import Stage
from include.stack.layout import Stack
from include.stack.ports import PREFERRED_PORTS
from pipeline.bootstrap import GiveUp, TryAgain


class Airflow:
    """Knows which DAGs are paused."""

    def __init__(self, **paused):
        self.state = {dag: dag in paused for dag in (INTAKE, RETRAINING, MONITOR, ROLLBACK, PROMOTION, RETENTION)}
        self.seen = []

    def paused(self, dag):
        return self.state[dag]

    def pause(self, dag):
        self.state[dag] = True

    def unpause(self, dag):
        self.state[dag] = False

    def trigger(self, dag, run_id, conf):
        self.seen.append(dict(self.state))
        raise GiveUp("Airflow is closed")


class Events:
    def wait_for(self, event_type, count, timeout_seconds):
        return [{"eventType": event_type}] if event_type != "CanaryAbortedEvent" else []


class Refusing:
    """A pipeline that refuses every step but rolling back; `forced` is the version that comes live all the same."""

    def __init__(self, log, forced=None):
        self.log, self.forced = log, forced

    def publish_events(self): ...

    def verify_accuracy(self, run_id): ...

    def verify_performance(self, run_id):
        if self.forced is None:
            raise TryAgain("faceserve is unavailable")

    def decide(self, run_id): ...

    def force_promote(self, model_type, run_id, actor, reason, request_id):
        self.log.append((self.forced, "force_promote", actor, reason))
        return {"version": self.forced}

    def roll_back(self, model_type, asked, actor, reason, request_id):
        self.log.append((asked.target, "rollback_manual", actor, reason))

    def __getattr__(self, name):
        raise GiveUp(f"{name} is not for this test")


class Confirmations:
    stamp = "7"
    left = True

    def begin(self): ...

    def leave_nothing(self):
        self.left = False

    def confirm(self, count):
        raise TimeoutError("waited 60 s for the confirmations to be taken in")


class TrialStage(Stage):
    """On no services at all: `log` is the transition log, newest change last."""

    def __init__(self, folder, airflow, log):
        stack = Stack(folder, PREFERRED_PORTS, dict.fromkeys(("rabbitmq", "airflow_admin", "mlops", "s3"), "secret"))
        super().__init__(stack, "Trial", Console(file=io.StringIO()))
        self.airflow, self.events, self.log = airflow, Events(), log

    def __enter__(self):
        return self

    def __exit__(self, *error): ...

    def query(self, sql, *values):
        return self.log[-1:] if "transitions" in sql else [("run-1",)]


class DrillWithoutModels(Drill):
    """Its candidates are not made, only spoken of."""

    def _derive(self, run_id, *, upside_down): ...


@pytest.fixture
def log():
    return [("v1.1.0", "promote", "airflow", "better")]


def drilled(folder, log, *, paused=(), forced=None):
    stage = TrialStage(folder, Airflow(**dict.fromkeys(paused)), log)
    stage.tasks = Confirmations()
    return stage, DrillWithoutModels(stage, Refusing(log, forced), stage.tasks).run()


def test_an_act_that_is_refused_is_named_and_all_others_are_tried(tmp_path, log):
    _, report = drilled(tmp_path, log)
    acts = [promise.partition(":")[0] for promise in report.broken[:5]]
    assert acts == ["bad model", "aborted canary", "promoted canary", "archive", "dead letters"]
    assert "bad model: faceserve is unavailable" in report.broken
    assert "CanaryAbortedEvent was published" in report.broken
    assert "CanaryStartedEvent was published" not in report.broken


def test_figures_that_were_not_measured_are_named_all_the_same(tmp_path, log):
    figures = drilled(tmp_path, log)[1].figures
    assert figures["automatic_rollback_seconds"] is None and figures["requests_sent"] == 0


def test_every_dag_is_afterwards_as_it_was_but_the_intake_is_paused(tmp_path, log):
    stage, _ = drilled(tmp_path, log, paused=(MONITOR, RETENTION))
    assert stage.airflow.state == {
        INTAKE: True,
        RETRAINING: False,
        MONITOR: True,
        ROLLBACK: False,
        PROMOTION: False,
        RETENTION: True,
    }


def test_meanwhile_only_the_dags_of_the_drill_run(tmp_path, log):
    stage, _ = drilled(tmp_path, log, paused=(RETENTION,))
    assert stage.airflow.seen
    for state in stage.airflow.seen:
        assert {dag for dag, paused in state.items() if not paused} == {ROLLBACK, PROMOTION, RETENTION}


def test_a_bad_model_that_nobody_took_down_is_taken_down_at_the_end(tmp_path, log):
    drilled(tmp_path, log, forced="v1.2.0")
    assert [(version, kind) for version, kind, *_ in log[1:]] == [
        ("v1.2.0", "force_promote"),
        ("v1.1.0", "rollback_manual"),
    ]


def test_nothing_that_was_confirmed_in_a_drill_is_left_to_learn_from(tmp_path, log):
    stage, _ = drilled(tmp_path, log)
    assert not stage.tasks.left


def test_no_rollback_is_asked_for_when_none_is_needed(tmp_path, log):
    drilled(tmp_path, log)
    assert len(log) == 1


def test_without_a_model_the_drill_says_what_to_do(tmp_path):
    with pytest.raises(RuntimeError, match="run `make demo` first"):
        drilled(tmp_path, [])


def test_why_a_canary_ended_is_asked_of_the_log(tmp_path):
    class Canary(TrialStage):
        def query(self, sql, kind, version):
            return [("12 of 25 wrong",)] if kind == "canary_abort" and version == "v1.2.0" else []

    history = History(Canary(tmp_path, Airflow(), []))
    assert history.end_of_canary("v1.2.0") == "12 of 25 wrong"
    assert history.end_of_canary("v1.3.0") == "v1.3.0 is still on trial"
