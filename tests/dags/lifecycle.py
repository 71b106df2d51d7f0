"""`python -m tests.dags.lifecycle`: the real DAGs through quiet nights, outages and failures, in Airflow's own hands.

On a new database of their own; then asked through the REST API for what people may get wrong. Prints one line of JSON.
"""

import asyncio
import os
import threading
import time
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace

import uvicorn
from airflow.api_fastapi.app import create_app
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import func

from dags.model_decision import model_decision
from dags.model_retraining import laundry
from dags.task_confirmed_intake import task_confirmed_intake
from include.stack.airflow_api import AirflowApi, AirflowError
from include.stack.ports import free_ports
from pipeline.adapters.airflow_dags import AirflowDags, AirflowLogin
from pipeline.bootstrap import ALWAYS_ON, GiveUp, Pipeline, TryAgain
from pipeline.bootstrap.wiring import Wiring
from pipeline.settings import Settings
from plugins import polling
from plugins.task_events import trigger
from tests.dags import doors
from tests.dags.grid import Grid
from tests.dags.telling import tell
from tests.desk import Desk, Turns

# `make test-slow` lets ten pass, as many as an Airflow of before paused a DAG after.
IN_A_ROW = int(os.environ.get("NIGHTS", "2"))
AWAY = TryAgain("RabbitMQ is unavailable: connection refused")
NOTHING = {"due": False, "reason": "3 of 100 corrections"}
DUE = {"due": True, "reason": "120 corrections", "decision_id": "7"}
RETRAINING, MONITOR = "laundry_model_retraining", "live_accuracy_monitor"
# What the forms must refuse: not as JSON has it, with a line end after a number, half a character, or of another type.
BAD = {
    "model_rollback": [
        {"target": "v1.0.0\n", "reason": "too bad"},
        {"target": "\ud800", "reason": "too bad"},
        {"target": "v1.0.0", "reason": "no"},
        {"target": ["previous"], "reason": "too bad"},
        {"model_type": "LAUNDRY ", "reason": "too bad"},
        {"judged": "v1.0.0\n", "reason": "too bad"},
        {"reason": "\ud800abc"},
        {"reason": "a\0bc"},
    ],
    RETRAINING: [
        {"epochs": float("nan")},
        {"epochs": float("inf")},
        {"learning_rate": float("nan")},
        {"epochs": 1.5},
        {"epochs": "ten"},
        {"label_smoothing": 1},
        {"dataset_id": "DS-2026-001\n"},
        {"reason": "x" * 501},
        {"reason": "a\0bc"},
        {"force": "yes"},
    ],
    "model_promotion": [{"version": "v1.0.0\n"}, {"version": "v1.0.0", "approval": "yes"}],
    "face_model_retraining": [{"reason": "\ud800abc"}, {"reason": "a\0bc"}, {"force": "yes"}],
    "model_decision": [
        {"act": "clear_freeze"},
        {"reason": "   "},
        {"reason": "a\0bc"},
        {"about": "\ud800", "reason": "looked at it"},
        {"about": "v1.0.0\n", "reason": "looked at it"},
    ],
    "model_retention": [{"keep": 0}, {"keep": float("nan")}, {"dry_run": 1}],
}


def without_waiting():
    """Time passes as fast as it is slept, so that a night takes a moment."""
    passed = SimpleNamespace(seconds=0.0)

    async def sleep(seconds):
        passed.seconds += seconds
        await asyncio.sleep(0)

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(seconds=passed.seconds)

    polling.asyncio = SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread)
    trigger.datetime = Clock
    return passed


def at_a_desk(**answers):
    desk = Desk(**answers)
    Pipeline.from_env = classmethod(lambda cls, *_: desk)
    return desk


def run(dag, **answers):
    desk = at_a_desk(**answers)
    ended = dag.test()
    tasks = {ti.task_id: ti.state for ti in ended.get_task_instances()}
    told = [name for name in desk.names() if name.startswith("report_")]
    return {"state": ended.state, "tasks": tasks, "told": told, "paused": paused(dag.dag_id)}


def paused(dag_id):
    with create_session() as session:
        return session.query(DagModel.is_paused).filter_by(dag_id=dag_id).scalar()


def queued(dag_id):
    with create_session() as session:
        return [r.run_id for r in session.query(DagRun).filter_by(dag_id=dag_id, state="queued")]


def states(dag_id):
    with create_session() as session:
        return {r.run_id: str(r.state) for r in session.query(DagRun).filter_by(dag_id=dag_id)}


def intake(**answers):
    return run(
        task_confirmed_intake(),
        **{"waiting_events": 3, "accumulate": {"new": 3}, "consider": NOTHING, "report_success": None, **answers},
    )


def quiet_night(passed):
    passed.seconds = 0.0
    night = intake(waiting_events=0)
    return {**night, "hours of silence": passed.seconds / 3600}


def loop():
    passed = without_waiting()
    found = {"quiet nights": [quiet_night(passed) for _ in range(IN_A_ROW)]}
    passed.seconds = 0.0
    found["outage"] = intake(waiting_events=Turns([AWAY] * 65 + [3]))
    found["hours of outage"] = passed.seconds / 3600
    broken = {"accumulate": GiveUp("a column is missing")}
    found["failing"] = [intake(**broken) for _ in range(IN_A_ROW)]
    found["mended"] = intake(consider=DUE)
    found["due again"] = intake(consider={**DUE, "decision_id": "8"})
    found["queued"] = queued(RETRAINING)
    return found


def api():
    """The address of Airflow's REST API on a port of its own."""
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(create_app("all"), host="127.0.0.1", port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return f"http://127.0.0.1:{port}"


def asked(client):
    refused = {}
    for dag_id, forms in BAD.items():
        before = states(dag_id)
        refused[dag_id] = [answer(client.trigger, dag_id, f"bad-{n}", form) for n, form in enumerate(forms)]
        refused[f"{dag_id} has the same runs"] = states(dag_id) == before
    client.pause(RETRAINING)
    client.fail_open_runs(RETRAINING)
    client.trigger("model_rollback", "once", {"reason": "too bad"})
    twice = answer(client.trigger, "model_rollback", "once", {"reason": "too bad"})
    return {"refused": refused, "ended": states(RETRAINING), "twice": twice, "open": queued("model_rollback")}


def people(url):
    """What two people may do who are no administrators, each with a login of their own."""
    found = {}
    for name in ("viewer", "operator"):
        client = AirflowApi(url, name, f"secret of {name}")
        trigger = answer(client.trigger, "model_rollback", f"by-{name}", {"reason": "too bad"})
        may = {"look": answer(client.paused, "model_rollback"), "see runs": answer(client.runs, "model_rollback")}
        found[name] = {**may, "trigger": trigger, "pause": answer(client.pause, "model_retention")}
    with create_session() as session:
        asked_by = session.query(DagRun.triggering_user_name).filter_by(run_id="by-operator").scalar()
    return {"people": found, "asked by": asked_by}


def watched(url):
    """What the exporter sees with a viewer's login, beside what the database says; an operator has paused one."""
    AirflowApi(url, "operator", "secret of operator").trigger(MONITOR, "first-look", {})
    seen = AirflowDags(AirflowLogin(url, "viewer", "secret of viewer"), ALWAYS_ON.keys()).seen()
    with create_session() as session:
        kept = dict(session.query(DagModel.dag_id, DagModel.is_paused).all())
        first = session.query(func.min(DagRun.run_after)).filter_by(dag_id=MONITOR).scalar()
    told = {"paused": seen.paused, "unreadable": seen.unreadable, "oldest": seen.oldest_run.isoformat()}
    return {"watched": told, "kept": {"paused": kept, "unreadable": 0, "oldest": first.isoformat()}}


def forced_live(url):
    """What becomes of a model that two people want to be live whatever its verdict says."""
    # Who is one is asked of the settings; nothing else of the outside world is.
    entitled = Pipeline(Wiring(Settings())).demand_administrator
    found = {}
    for name, password in (("operator", "secret of operator"), ("admin", "secret")):
        desk = at_a_desk(demand_administrator=entitled)
        grid = Grid(url, model_decision(), f"forced-by-{name}", name, password)
        grid.trigger(act="force_promote", about="v1.1.0", reason="sees the new uniforms")
        found[name] = {"state": grid.go_on(), "changed": "force_promote" in desk.names()}
    return {"forced": found}


def told_no(url):
    """The log of a task that is refused by a setting, as Airflow's runner writes it and Airflow shows it."""
    grid = Grid(url, model_decision(), "told-no", "operator", "secret of operator")
    grid.trigger(act="force_promote", about="v1.1.0", reason="sees the new uniforms")
    grid.run_alone("carry_out")
    return {"told no": {"tasks": grid.states(), **grid.log("carry_out")}}


def again(url):
    """A retraining each task of which somebody marks as failed, and clears once the run has ended."""
    desk = at_a_desk(
        begin_run=DUE,
        slices=[0, 1],
        collect="DS-2026-001",
        validate={"passed": True},
        assemble={"train_count": 640},
        decide={"accepted": True, "report_url": "http://report"},
        demand_acceptance={"accepted": True},
        register="v1.1.0",
        retry=None,
    )
    desk.answers["finish_run"] = partial(concluded, desk)
    # Another program, which would train.
    laundry.get_task("train").bash_command = "true"
    grid = Grid(url, laundry, "again", "operator", "secret of operator")
    grid.trigger(force=True)
    marked = {task.task_id: mark_and_clear(grid, task.task_id) for task in laundry.topological_sort()}
    told = ("report_", "announce_", "untold", "told")
    asked = [call for call in desk.asked if not call[0].startswith(told)]
    return {"again": {"marked": marked, "run": grid.go_on(), "tasks": grid.states(), "asked": asked}}


def concluded(desk, run_id):
    return "deployed" if "hot_swap" in desk.names() else GiveUp("ended: failed")


def mark_and_clear(grid, task_id):
    """How the run and its last task ended without this one, and how this one did when it was cleared."""
    grid.mark_failed(task_id)
    ended, finish = grid.go_on(), grid.states()["finish"]
    grid.clear(task_id)
    grid.go_on(until=task_id)
    return {"run": ended, "finish": finish, "cleared": grid.states()[task_id]}


def answer(call, *values):
    """The status of Airflow's answer."""
    try:
        call(*values)
    except AirflowError as error:
        return error.status
    return 200


if __name__ == "__main__":
    initdb()
    seen = loop()
    url = api()
    seen |= asked(AirflowApi(url, "admin", "secret")) | people(url) | watched(url) | forced_live(url)
    seen |= told_no(url) | again(url) | {"doors": doors.asked(url)}
    tell(seen)
