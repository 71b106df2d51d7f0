"""With OpenLineage's provider beside our packages Airflow tells when each task began and ended, and what it made."""

import json
import os
import re
import subprocess
import sys

import pytest

from include.stack.layout import REPOSITORY

_BESIDE = REPOSITORY / ".stack/tools/openlineage"
_RUN = """
from airflow.utils.db import initdb
initdb()
from dags.model_retraining import laundry
from pipeline.bootstrap import Pipeline
from tests.desk import Desk

made = {"dataset_id": "DS-2026-001", "train_count": 640, "uri": "s3://datasets/DS-2026-001/"}
desk = Desk(begin_run={"due": True, "reason": "500 corrections"}, collect="DS-2026-001", slices=[0], assemble=made,
    decide={"report_url": "http://report"}, demand_acceptance={"report_url": "http://report"}, register="v1.1.0")
Pipeline.from_env = classmethod(lambda cls, *_: desk)
# Airflow 3.3.2's `DAG.test` cannot end a run of a DAG that has a deadline.
laundry.deadline = None
print("ENDED", laundry.test(run_conf={}, mark_success_pattern="validate|augment_slice|train|verify.*").state)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Events of a retraining, as lines of its log: (task, what happened, addresses of what it made)."""
    if not (_BESIDE / ".lock").is_file():
        pytest.fail("OpenLineage's provider is not there: `make install` gets it")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        # After 10 s, on a busy machine, the provider would drop what it was about to tell.
        "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "600",
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "retraining",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": '{"type": "console"}',
        "PYTHONPATH": f"{_BESIDE}:{REPOSITORY}",
    }
    # Under pytest the provider reads its configuration again and again.
    environment.pop("PYTEST_VERSION", None)
    run = [sys.executable, "-c", _RUN]
    done = subprocess.run(run, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert "ENDED success" in done.stdout, (done.stdout + done.stderr)[-3000:]
    events = [json.loads(found) for found in re.findall(r"\{\"eventTime\".*\}(?= \[)", done.stdout + done.stderr)]
    assert {event["job"]["namespace"] for event in events} == {"retraining"}
    return [_words(event) for event in events]


def _words(event):
    task = event["job"]["name"].removeprefix("laundry_model_retraining").removeprefix(".")
    return task, event["eventType"], [f"{one['namespace']}/{one['name']}" for one in event["outputs"]]


def test_of_every_task_is_told_that_it_began_and_that_it_ended(told):
    kinds = {}
    for task, kind, _ in told:
        kinds.setdefault(task, []).append(kind)
    for task in ("begin", "collect", "assemble", "decide", "register", "hot_swap", "finish"):
        assert kinds[task] == ["START", "COMPLETE"]


def test_a_dataset_is_told_of_by_its_address(told):
    making = [(task, made) for task, _, made in told if made]
    assert making[0] == ("assemble", ["s3://datasets/DS-2026-001"])
    # Here all tasks are one process, which keeps what was made; on a worker each has its own.
    assert {tuple(made) for _, made in making} == {("s3://datasets/DS-2026-001",)}
