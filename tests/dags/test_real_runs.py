"""Whole runs by Airflow itself, on a database of their own: what the grid shows in the end."""

import pytest

from include.stack.layout import REPOSITORY
from tests.dags.telling import found_by

_RUNS = """
from tests.dags.telling import tell
import os
from datetime import UTC, datetime
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
from airflow.models import Connection, Variable
from airflow.models.asset import AssetEvent
from airflow.models.dagrun import DagRun
from airflow.models.dagbag import DBDagBag
from airflow.models.deadline import Deadline
from airflow.models.taskinstance import clear_task_instances
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from dags.model_retraining import laundry
from dags.model_rollback import model_rollback
from pipeline.bootstrap import Pipeline, RunEnded, TryAgain
from plugins.outside.pipeline import forget
from plugins.polling import PollingTrigger
from tests.desk import PLAN, Desk, Turns

PollingTrigger.first_delay_seconds = 0

def run(desk, dag=None, **form):
    Pipeline.from_env = classmethod(lambda cls, *_: desk)
    ended = (dag or model_rollback()).test(run_conf=form)
    tasks = {ti.task_id: ti.state for ti in ended.get_task_instances()}
    with create_session() as session:
        events = session.query(AssetEvent).filter_by(source_run_id=ended.run_id).all()
        assets = {event.asset.name: event.extra for event in events}
    return {"run_id": ended.run_id, "state": ended.state, "tasks": tasks, "asked": desk.names(), "assets": assets}

def refused():
    ended = RunEnded("the model was refused", ["accuracy 0.86, at least 0.90 needed"], "more photos", "http://report")
    verdict = {"report_url": "http://report"}
    desk = Desk(begin_run={"due": True, "reason": "500"}, slices=[0], collect="DS-2026-001", decide=verdict,
        demand_acceptance=ended, retry=None, finish_run=RunEnded("ended: refused"))
    Pipeline.from_env = classmethod(lambda cls, *_: desk)
    taken = "validate|augment_slice|assemble|train|verify.*"
    ended = laundry.test(run_conf={"force": False}, mark_success_pattern=taken)
    with create_session() as session:
        found = session.query(DagRun).filter_by(dag_id=laundry.dag_id, run_id=ended.run_id).one()
        # `test` keeps its run apart from any session; a scheduler sees the end of a run as here.
        found.dag, found.state = DBDagBag().get_dag_for_run(found, session), "running"
        found.update_state(session=session, execute_callbacks=False)
    return {"state": noted(ended.run_id)["state"], "notes": [noted(ended.run_id)["note"], *cleared(ended.run_id)]}

def noted(run_id):
    with create_session() as session:
        found = session.query(DagRun).filter_by(dag_id=laundry.dag_id, run_id=run_id).one()
        return {"state": found.state, "note": found.note}

def cleared(run_id):
    # Some time after the clearing its note is that of a run that goes on; then a fault ends it, and then nothing does.
    yield at_work(run_id)
    yield ends(run_id, train="failed", finish="success")
    yield at_work(run_id)
    yield ends(run_id, retry="skipped")

def at_work(run_id):
    with create_session() as session:
        found = session.query(DagRun).filter_by(dag_id=laundry.dag_id, run_id=run_id).one()
        clear_task_instances(found.get_task_instances(session=session), session)
        found.dag, found.state = DBDagBag().get_dag_for_run(found, session), "running"
        found.notify_dagrun_state_changed(msg="started")
    return noted(run_id)["note"]

def ends(run_id, **states):
    with create_session() as session:
        found = session.query(DagRun).filter_by(dag_id=laundry.dag_id, run_id=run_id).one()
        found.dag = DBDagBag().get_dag_for_run(found, session)
        others = "upstream_failed" if "failed" in states.values() else "success"
        for ti in found.get_task_instances(session=session):
            ti.state = states.get(ti.task_id, others)
        session.flush()
        found.update_state(session=session, execute_callbacks=False)
    return noted(run_id)["note"]

def marked_failed(run_id):
    # It was in the middle of its work; `finish` ends as it does without a deployment.
    with create_session() as session:
        found = session.query(DagRun).filter_by(dag_id=laundry.dag_id, run_id=run_id).one()
        found.dag = dag = DBDagBag().get_dag_for_run(found, session)
        for ti in found.get_task_instances(session=session):
            ti.state = {"begin": "success", "collect": "running"}.get(ti.task_id)
        found.state = "running"
        session.flush()
        set_dag_run_state_to_failed(dag=dag, run_id=run_id, commit=True, session=session)
        found.dag = dag
        left = found.update_state(session=session, execute_callbacks=False)[0]
        names = [ti.task_id for ti in left]
        for ti in left:
            ti.state = "failed"
        session.flush()
        found.update_state(session=session, execute_callbacks=False)
        return {"left": names, "state": found.state}

def from_its_database():
    # As a task asks on a worker; nothing of both is in the environment.
    forget()
    with create_session() as session:
        session.add(Connection(conn_id="retraining_mlops", uri="postgresql://mlops:pw@db:5432/ours"))
        session.add(Variable("retraining_thresholds", '{"min_corrections": 200}'))
    found = {}
    def open_one(cls, ask):
        names = ["RETRAIN_MLOPS_DSN", "RETRAIN_MIN_CORRECTIONS"]
        found.update({name: [one.raw, one.place] for name, one in ask(names).items()})
        return Desk(complete_rollback={"version": "v1.1.3"})
    Pipeline.from_env = classmethod(open_one)
    # The form of an earlier run is kept by the DAG of this process.
    found["state"] = model_rollback().test(run_conf={"approval": False}).state
    return found

def late():
    # As a scheduler sees it, out of the database; what its executor is then given is a matter of the plugin.
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"] + "/model_retraining.py")
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    now = datetime.now(UTC)
    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag(laundry.dag_id, session=session)
        begun = {"run_type": "manual", "triggered_by": DagRunTriggeredByType.TEST, "state": "queued"}
        dag.create_dagrun(run_id="manual__late", run_after=now, session=session, **begun)
        session.flush()
        (deadline,) = session.query(Deadline).all()
        hours = (deadline.deadline_time - now).total_seconds() / 3600
        deadline.handle_miss(session)
        asked = deadline.callback.data
        about = asked["kwargs"]["context"]["dag_run"]
        told = {"path": asked["path"], "about": [about["dag_id"], about["dag_run_id"]], "hours": round(hours)}
    with create_session() as session:
        found = session.query(DagRun).filter_by(dag_id=laundry.dag_id, run_id="manual__late").one()
        found.dag, found.state, found.start_date = DBDagBag().get_dag_for_run(found, session), "running", now
        for ti in found.get_task_instances(session=session):
            ti.state = "success"
        session.flush()
        found.update_state(session=session, execute_callbacks=False)
        return {**told, "state": found.state}

too_late = late()
# Airflow 3.3.2's `DAG.test` cannot end a run of a DAG that has a deadline.
laundry.deadline = None
whole = {"complete_rollback": {"version": "v1.1.3"}}
overtaken = Turns([PLAN, {**PLAN, "from_version": "v1.3.0"}])
no = {"due": False, "rule": "running", "reason": "a retraining is already running: run-0"}
quiet = run(Desk(begin_run=no), laundry)
tell({
    "at once": run(Desk(**whole)),
    "overtaken": run(Desk(**whole, rollback_plan=overtaken), approval=True),
    "quiet": quiet,
    "forced": run(Desk(begin_run=no, retry=None, finish_run=RunEnded("ended: failed")), laundry, force=True),
    "marked": marked_failed(quiet["run_id"]),
    "refused": refused(),
    "from its database": from_its_database(),
    "late": too_late,
})
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    variables = {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    }
    found, log = found_by("-c", _RUNS, variables=variables)
    return {**found, "log": log}


def test_a_rollback_without_a_question_ends_green_when_every_replica_is_back(runs):
    assert runs["at once"]["state"] == "success"
    assert runs["at once"]["tasks"] == dict.fromkeys(("roll_back", "complete", "publish_events"), "success")


def test_a_rollback_that_waits_and_is_overtaken_ends_red_by_itself_and_changes_nothing(runs):
    assert runs["overtaken"]["state"] == "failed"
    assert runs["overtaken"]["tasks"] == {
        "roll_back": "failed",
        **dict.fromkeys(("complete", "publish_events"), "upstream_failed"),
    }
    assert runs["overtaken"]["asked"] == ["rollback_plan", "rollback_plan", "publish_events"]


def test_a_night_with_nothing_to_do_is_green(runs):
    assert runs["quiet"]["state"] == "success"
    assert runs["quiet"]["tasks"]["finish"] == "skipped" and "finish_run" not in runs["quiet"]["asked"]


def test_a_forced_retraining_that_may_not_begin_is_red(runs):
    assert runs["forced"]["state"] == "failed"
    assert runs["forced"]["tasks"]["begin"] == runs["forced"]["tasks"]["finish"] == "failed"


def test_a_run_that_a_person_marks_as_failed_gives_its_claim_back_and_stays_red(runs):
    assert runs["marked"] == {"left": ["finish"], "state": "failed"}


def test_a_task_finds_connections_and_thresholds_in_airflows_database(runs):
    found = runs["from its database"]
    assert found["RETRAIN_MLOPS_DSN"] == ["postgresql://mlops:pw@db:5432/ours", "connection retraining_mlops"]
    assert found["RETRAIN_MIN_CORRECTIONS"] == ["200", "variable retraining_thresholds"]
    assert found["state"] == "success"


def test_airflow_keeps_the_change_of_champion_as_an_event_that_other_dags_can_wait_for(runs):
    assert set(runs["at once"]["assets"]) == {"LAUNDRY champion", "LAUNDRY rollback"}
    assert runs["at once"]["assets"]["LAUNDRY champion"]["kind"] == "rollback"
    assert runs["overtaken"]["assets"] == {}


def test_a_refused_run_says_why_in_its_note_until_that_is_no_longer_so(runs):
    why = "the model was refused: accuracy 0.86, at least 0.90 needed. Next: more photos (report: http://report)"
    other = "train; the end of that log says why"
    assert runs["refused"] == {
        "state": "failed",
        "notes": [
            f"✗ failed: {why}",
            f"↻ runs again; it had failed: {why}",
            f"✗ failed: {other}",
            f"↻ runs again; it had failed: {other}",
            f"✓ succeeded in the end; it had failed: {other}",
        ],
    }


def test_what_is_no_fault_leaves_no_traceback_in_any_log(runs):
    for said in ("but v1.3.0 serves by now", "nothing is trained: a retraining is already running"):
        assert said in runs["log"]
    assert "Traceback" not in runs["log"] and "  File " not in runs["log"]


def test_a_retraining_that_is_late_has_airflow_call_us_once_and_ends_as_any_other(runs):
    about = ["laundry_model_retraining", "manual__late"]
    assert runs["late"] == {"path": "plugins.faults.tell_late", "about": about, "hours": 36, "state": "success"}
