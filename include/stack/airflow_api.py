"""A client for the part of Airflow's REST API that stack, demo and healthchecks need.

It uses the standard library alone, because healthchecks import it anew every few seconds.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from include.stack.executor import pools
from include.stack.layout import Stack

_POLL_SECONDS = 1.0
_FINISHED = {"success", "failed"}
_ENDED = {*_FINISHED, "skipped", "upstream_failed", "removed"}
_UNAUTHORIZED, _NOT_FOUND, _CONFLICT = 401, 404, 409


class AirflowError(RuntimeError):
    """Airflow did not do what it was asked to; `status` is its HTTP status, 0 when there was no answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class DagRunFailed(AirflowError):
    """A run that should have succeeded did not; the text names its failed tasks."""


@dataclass(frozen=True)
class TaskTime:
    """When a task instance ran; mapped instances have an index from 0, others -1."""

    task_id: str
    map_index: int
    state: str | None
    started: datetime | None
    ended: datetime | None

    @property
    def place(self) -> str:
        """The path of the task instance within its run, in the REST API."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}/{self.map_index}"


class AirflowApi:
    """Logs in before the first call that needs it, and again when Airflow no longer accepts its token."""

    def __init__(self, url: str, user: str = "", password: str = "", *, timeout_seconds: float = 30) -> None:
        self._url, self._timeout_seconds = url, timeout_seconds
        self._login = {"username": user, "password": password}
        self._token = ""

    @property
    def token(self) -> str:
        """The token of a new login, for a browser."""
        self._log_in()
        return self._token

    def health(self) -> dict[str, str]:
        """State of every part, e.g. `{"scheduler": "healthy"}`; needs no login."""
        parts = self._demand("GET", "/api/v2/monitor/health")
        return {name: str(part.get("status")) for name, part in parts.items()}

    def pool(self, name: str, rules: Mapping[str, object]) -> None:
        """Make the pool with `slots`, `description`, `include_deferred`; one that exists is changed to be like this."""
        try:
            self._call("POST", "/api/v2/pools", {"name": name, **rules})
        except AirflowError as error:
            if error.status != _CONFLICT:
                raise
            # Airflow's own pool, of which only this may be changed, or one made by an earlier release.
            mask = urlencode([("update_mask", rule) for rule in ("slots", "include_deferred")])
            self._call("PATCH", f"/api/v2/pools/{name}?{mask}", {"pool": name, **rules})

    def make_pools(self, variables: Mapping[str, str]) -> None:
        """Those that DAGs name, as these variables of Airflow say."""
        for name, rules in pools(variables).items():
            self.pool(name, rules)

    def has_connection(self, conn_id: str) -> bool:
        """Whether its database has the connection; those in variables or a secrets backend are not shown."""
        return self._exists(f"/api/v2/connections/{conn_id}")

    # DAGs

    def import_errors(self) -> dict[str, str]:
        """Files of DAGs that cannot be read, each with the last line of the reason; 50 at most."""
        found = self._call("GET", "/api/v2/importErrors")["import_errors"]
        return {one["filename"]: one["stack_trace"].strip().rpartition("\n")[2] for one in found}

    def knows(self, dag_id: str) -> bool:
        """Whether the DAG was parsed already."""
        return self._exists(f"/api/v2/dags/{dag_id}")

    def paused(self, dag_id: str) -> bool:
        return bool(self._call("GET", f"/api/v2/dags/{dag_id}")["is_paused"])

    def pause(self, dag_id: str) -> None:
        self._call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": True})

    def unpause(self, dag_id: str) -> None:
        self._call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    # Runs

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)

    def runs(self, dag_id: str, **wanted: str) -> list[dict[str, Any]]:
        """At most 50 runs, oldest first; `wanted` are filters of the REST API, e.g. `run_after_gte`."""
        query = urlencode({"order_by": "run_after", "limit": 50, **wanted})
        found: list[dict[str, Any]] = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns?{query}")["dag_runs"]
        return found

    def last_success(self, dag_id: str) -> datetime | None:
        """When its last run that succeeded ended; None when there was none."""
        runs = self.runs(dag_id, state="success", order_by="-end_date", limit="1")
        return _time(runs[0]["end_date"]) if runs else None

    def fail_open_runs(self, dag_id: str) -> None:
        """End every queued and running run as failed, also of a DAG that is paused."""
        for run in [*self.runs(dag_id, state="running"), *self.runs(dag_id, state="queued")]:
            path, failed = _run(dag_id, run["dag_run_id"]), {"state": "failed"}
            if self._call("PATCH", path, failed)["state"] in _FINISHED:
                continue
            # Teardown tasks are left to the scheduler, which runs nothing of a paused DAG.
            for task in self.tasks(dag_id, run["dag_run_id"]):
                if task.state not in _ENDED:
                    self._call("PATCH", f"{path}/taskInstances/{task.place}", {"new_state": "failed"})
            self._call("PATCH", path, failed)

    def wait(
        self, dag_id: str, run_id: str, *, timeout_seconds: float, on_task: Callable[[TaskTime], None] | None = None
    ) -> str:
        """The run's final state; `on_task` is called once for every task that ends."""
        deadline = time.monotonic() + timeout_seconds
        told: set[tuple[str, int]] = set()
        while time.monotonic() < deadline:
            state = str(self._call("GET", _run(dag_id, run_id))["state"])
            if on_task:
                _tell(self.tasks(dag_id, run_id), told, on_task)
            if state in _FINISHED:
                return state
            time.sleep(_POLL_SECONDS)
        raise DagRunFailed(f"{dag_id} {run_id} did not finish within {timeout_seconds:.0f} s; look at it in Airflow")

    def demand_success(self, dag_id: str, run_id: str, state: str) -> None:
        if state != "success":
            failed = [t.task_id for t in self.tasks(dag_id, run_id) if t.state in {"failed", "upstream_failed"}]
            raise DagRunFailed(f"{dag_id} {run_id} is {state}; failed tasks: {', '.join(failed) or 'none'}")

    def tasks(self, dag_id: str, run_id: str) -> list[TaskTime]:
        rows = self._call("GET", f"{_run(dag_id, run_id)}/taskInstances?limit=100")["task_instances"]
        return [
            TaskTime(r["task_id"], r["map_index"], r["state"], _time(r["start_date"]), _time(r["end_date"]))
            for r in rows
        ]

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What the task returned."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/return_value?deserialize=true"
        return self._call("GET", path)["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> str:
        """The log of a task's try, as Airflow's page shows it, and where it was found."""
        path = (
            f"{_run(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}?map_index={map_index}&full_content=true"
        )
        return json.dumps(self._call("GET", path)["content"])

    # HTTP

    def _exists(self, path: str) -> bool:
        try:
            self._call("GET", path)
        except AirflowError as error:
            if error.status != _NOT_FOUND:
                raise
            return False
        return True

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer to a call that needs a login."""
        if not self._token:
            self._log_in()
        try:
            return self._demand(method, path, body)
        except AirflowError as error:
            if error.status != _UNAUTHORIZED:
                raise
        self._log_in()
        return self._demand(method, path, body)

    def _log_in(self) -> None:
        self._token = ""
        self._token = self._demand("POST", "/auth/token", self._login)["access_token"]

    def _demand(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        try:
            request = Request(self._url + path, data, headers, method=method)
            with urlopen(request, timeout=self._timeout_seconds) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            text = error.read().decode(errors="replace")[:300]
            raise AirflowError(f"Airflow answered {error.code} to {method} {path}: {text}", error.code) from error
        except (OSError, HTTPException, ValueError) as error:
            reason = f"{method} {self._url}{path}: {error}"
            raise AirflowError(f"no answer from Airflow to {reason}; `make status` says whether it runs") from error


def airflow_of(stack: Stack) -> AirflowApi:
    """The stack's Airflow, as its administrator."""
    return AirflowApi(f"http://127.0.0.1:{stack.port('airflow')}", "admin", stack.secrets["airflow_admin"])


def _run(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}"


def _tell(tasks: list[TaskTime], told: set[tuple[str, int]], on_task: Callable[[TaskTime], None]) -> None:
    for task in tasks:
        key = (task.task_id, task.map_index)
        if task.ended and task.state != "up_for_retry" and key not in told:
            told.add(key)
            on_task(task)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
