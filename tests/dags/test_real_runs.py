"""Whole runs by Airflow itself, on a database of their own: what the grid shows in the end."""

import json
import os
import subprocess
import sys

import pytest

from include.stack.layout import REPOSITORY

_RUNS = """
import json
from airflow.utils.db import initdb
initdb()
from dags.model_rollback import model_rollback
from pipeline.bootstrap import Pipeline, TryAgain
from plugins.polling import PollingTrigger
from tests.desk import PLAN, Desk, Turns

PollingTrigger.first_delay_seconds = 0

def run(desk, **form):
    Pipeline.from_env = classmethod(lambda cls: desk)
    ended = model_rollback().test(run_conf=form)
    tasks = {ti.task_id: ti.state for ti in ended.get_task_instances()}
    return {"state": ended.state, "tasks": tasks, "asked": desk.names()}

whole = {"complete_rollback": {"version": "v1.1.3"}}
overtaken = Turns([PLAN, {**PLAN, "from_version": "v1.3.0"}])
print("RUNS " + json.dumps({
    "at once": run(Desk(**whole)),
    "overtaken": run(Desk(**whole, rollback_plan=overtaken), approval=True),
}))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        [sys.executable, "-c", _RUNS],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    (found,) = [line for line in done.stdout.splitlines() if line.startswith("RUNS ")] or [done.stderr[-2000:]]
    return json.loads(found.removeprefix("RUNS "))


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
