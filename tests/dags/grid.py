"""What a person presses in Airflow's grid, with a login; and one run carried on as by scheduler and worker."""

import os
import subprocess
import sys
from urllib.parse import quote

import httpx
from airflow.executors.local_executor import LocalExecutor
from airflow.executors.workloads import ExecuteTask
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.sdk.definitions.dag import _run_task
from airflow.utils.session import create_session

ENDED = {"success", "failed"}


class Grid:
    """Of one run."""

    def __init__(self, url, dag, run_id, name, password):
        self._url, self._dag, self._run_id, self._bag = url, dag, run_id, DBDagBag()
        token = httpx.post(f"{url}/auth/token", json={"username": name, "password": password}, timeout=60).json()[
            "access_token"
        ]
        self._client = httpx.Client(base_url=f"{url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def trigger(self, **form):
        asked = {"dag_run_id": self._run_id, "logical_date": None, "conf": form}
        return self._client.post(f"/dags/{self._dag.dag_id}/dagRuns", json=asked).raise_for_status()

    def mark_failed(self, task_id):
        path = f"/dags/{self._dag.dag_id}/dagRuns/{quote(self._run_id)}/taskInstances/{task_id}"
        self._client.patch(path, json={"new_state": "failed"}).raise_for_status()

    def clear(self, task_id):
        """With what comes after it, as the grid offers first."""
        asked = {"dag_run_id": self._run_id, "task_ids": [task_id], "include_downstream": True}
        asked |= {"only_failed": False, "dry_run": False}
        self._client.post(f"/dags/{self._dag.dag_id}/clearTaskInstances", json=asked).raise_for_status()

    def go_on(self, until=None):
        """Its state once it has ended, or once the task `until` has, or when nothing can begin any more."""
        before, state = None, "queued"
        while (
            (states := self.states()) != before and state not in ENDED and states.get(until) not in {*ENDED, "skipped"}
        ):
            before = states
            state, ready = self._look()
            for ti in ready:
                _run_task(ti=ti, task=self._dag.task_dict[ti.task_id])
        return state

    def run_alone(self, task_id):
        """The task as a worker runs it, in a process of Airflow's own, with nothing of these tests."""
        self._look()
        with create_session() as session:
            (ti,) = [one for one in self._run(session).get_task_instances(session=session) if one.task_id == task_id]
            ti.state = "queued"
            session.flush()
            workload = ExecuteTask.make(ti, generator=LocalExecutor().jwt_generator).model_dump_json()
        command = [sys.executable, "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", workload]
        variables = {**os.environ, "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/"}
        subprocess.run(command, env=variables, capture_output=True, check=False)

    def log(self, task_id):
        """What a person reads of its first try, line by line, and whether any line has a traceback."""
        path = f"/dags/{self._dag.dag_id}/dagRuns/{quote(self._run_id)}/taskInstances/{task_id}/logs/1"
        entries = self._client.get(path, headers={"Accept": "application/json"}).raise_for_status().json()["content"]
        traced = [one for one in entries if one.get("error_detail") or "Traceback" in one["event"]]
        # Marks of what the page folds come by another stream, sooner or later than what stands beside them.
        lines = [one["event"] for one in entries if not one["event"].startswith("::")]
        return {"lines": lines, "traced": traced}

    def states(self):
        """Of each task; of one with copies that of the last copy."""
        return {ti.task_id: ti.state for ti in self._tasks()}

    def _look(self):
        """What a turn of the scheduler's loop finds: the state of the run, and what may begin."""
        with create_session() as session:
            run = self._run(session)
            run.dag = self._bag.get_dag_for_run(run, session)
            run.state = "running" if run.state == "queued" else run.state
            ready, _ = run.update_state(session=session, execute_callbacks=False)
            run.schedule_tis(ready, session=session)
            state = str(run.state)
        return state, [ti for ti in self._tasks() if ti.state == "scheduled"]

    def _tasks(self):
        with create_session() as session:
            return self._run(session).get_task_instances(session=session)

    def _run(self, session):
        return session.query(DagRun).filter_by(dag_id=self._dag.dag_id, run_id=self._run_id).one()
