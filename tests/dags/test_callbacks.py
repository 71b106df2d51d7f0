"""What Airflow calls once after a fault reaches people whatever is away, and fails nothing itself."""

import pytest

from pipeline.bootstrap import GiveUp, Pipeline, TryAgain
from plugins import faults
from plugins.notices import publishing
from tests.dags.folder import DAGS
from tests.dags.running import DagRun

WATCHED = {"target": "v1.0.0", "version": "v1.1.0", "reason": "72 of 100 right"}
# What each keeps as news; the rest looks and publishes.
KEEPS = ("report_fault", "report_overdue", "announce_failed_rollback", "announce_failed_swap")
FAULT = TryAgain("no answer")


def of_tasks():
    for dag in DAGS.values():
        for task in dag.tasks:
            # What a mapped task calls stands in what it is made of.
            called = task.partial_kwargs["on_failure_callback"] if task.is_mapped else task.on_failure_callback
            for callback in called if isinstance(called, list) else [called]:
                yield pytest.param((dag, task.task_id, callback), id=f"{dag.dag_id}.{task.task_id}-{callback.__name__}")


def of_dags():
    for dag in DAGS.values():
        alerts = dag.deadline if isinstance(dag.deadline, list) else [dag.deadline] if dag.deadline else []
        late = [alert.callback.path.rpartition(".")[2] for alert in alerts]
        yield pytest.param((dag, None, dag.on_failure_callback), id=f"{dag.dag_id}-{dag.on_failure_callback.__name__}")
        for name in late:
            yield pytest.param((dag, None, getattr(faults, name)), id=f"{dag.dag_id}-{name}")


def context_of(dag, task_id, callback):
    run = DagRun(dag)
    run.results |= dict.fromkeys(("watch", "watch_face"), WATCHED)
    if callback.__name__ == "tell_late":
        return {"dag_run": {"dag_id": dag.dag_id, "dag_run_id": "run-1", "state": "running"}}
    if task_id is None:
        return {"dag": dag, "run_id": "run-1", "reason": "timed_out"}
    return {**run.context(task_id), "exception": FAULT}


def away_database(desk, _monkeypatch):
    for name in (*KEEPS, "publish_events", "untold", "told", "telling"):
        desk.answers[name] = TryAgain("the mlops database is unavailable: gone")


def away_broker(desk, _monkeypatch):
    desk.answers["publish_events"] = TryAgain("RabbitMQ is unavailable: gone")


def closed_broker(desk, _monkeypatch):
    desk.answers["publish_events"] = GiveUp("RabbitMQ refuses the request: no rights")


def wrong_setting(_desk, monkeypatch):
    def refuse(cls, *_):
        raise GiveUp("RETRAIN_EPOCHS is 'ten', but must be a whole number")

    monkeypatch.setattr(Pipeline, "from_env", classmethod(refuse))


def sealed_vault(_desk, monkeypatch):
    def refuse(cls, *_):
        raise TryAgain("Airflow could not look up retraining_mlops: OSError")

    monkeypatch.setattr(Pipeline, "from_env", classmethod(refuse))


@pytest.fixture
def sent(monkeypatch):
    """What left without the outbox."""
    found = []
    monkeypatch.setattr(publishing, "open_channels", lambda: {"notices_webhook": found.append})
    return found


@pytest.mark.parametrize("away", [away_database, away_broker, closed_broker, wrong_setting, sealed_vault])
@pytest.mark.parametrize("called", [*of_tasks(), *of_dags()])
def test_people_hear_of_every_fault_whatever_is_away(desk, sent, monkeypatch, called, away):
    away(desk, monkeypatch)
    called[-1](context_of(*called))
    kept = [name for name in desk.names() if name in KEEPS and not isinstance(desk.answers.get(name), Exception)]
    assert len(kept) + len(sent) == 1
    assert all(notice["subject"] and notice["body"] for notice in sent)


@pytest.mark.parametrize("away", [away_database, wrong_setting, sealed_vault])
@pytest.mark.parametrize("dag", DAGS.values(), ids=DAGS)
def test_a_success_stays_one_whatever_is_away(desk, monkeypatch, dag, away):
    away(desk, monkeypatch)
    desk.answers["report_success"] = TryAgain("the mlops database is unavailable: gone")
    for task in dag.tasks:
        called = task.partial_kwargs["on_success_callback"] if task.is_mapped else task.on_success_callback
        for callback in called if isinstance(called, list) else [called]:
            callback(DagRun(dag).context(task.task_id))
