"""The few calls of Airflow's REST API that the demo makes, as the user of the web page would."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

_POLL_SECONDS = 1.0
_FINISHED = {"success", "failed"}


class DagRunFailed(Exception):
    """A run that should have succeeded did not; the text names its failed tasks."""


@dataclass(frozen=True)
class TaskTime:
    """When one task instance ran; mapped instances have an index from 0, others -1."""

    task_id: str
    map_index: int
    state: str | None
    started: datetime | None
    ended: datetime | None


class AirflowApi:
    def __init__(self, base_url: str, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=30)
        self._user, self._password = user, password
        self._log_in()

    def unpause(self, dag_id: str) -> None:
        self._call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def pause(self, dag_id: str) -> None:
        self._call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": True})

    def paused(self, dag_id: str) -> bool:
        return bool(self._call("GET", f"/api/v2/dags/{dag_id}")["is_paused"])

    def knows(self, dag_id: str) -> bool:
        return self._request("GET", f"/api/v2/dags/{dag_id}").status_code == httpx.codes.OK

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)

    def runs(self, dag_id: str, *, since: datetime) -> list[dict[str, Any]]:
        """Runs queued at or after `since`, oldest first."""
        query = {"run_after_gte": since.isoformat(), "order_by": "run_after", "limit": 50}
        found: list[dict[str, Any]] = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=query)["dag_runs"]
        return found

    def tasks(self, dag_id: str, run_id: str) -> list[TaskTime]:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        rows = self._call("GET", path, params={"limit": 100})["task_instances"]
        return [
            TaskTime(r["task_id"], r["map_index"], r["state"], _time(r["start_date"]), _time(r["end_date"]))
            for r in rows
        ]

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What the task returned."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._call("GET", path, params={"deserialize": "true"})["value"]

    def wait(
        self, dag_id: str, run_id: str, *, timeout_seconds: float, on_task: Callable[[TaskTime], None] | None = None
    ) -> str:
        """The run's final state; `on_task` hears of every task that ends."""
        deadline = time.monotonic() + timeout_seconds
        told: set[tuple[str, int]] = set()
        while time.monotonic() < deadline:
            state = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"]
            for task in self.tasks(dag_id, run_id) if on_task else ():
                key = (task.task_id, task.map_index)
                if task.ended and task.state != "up_for_retry" and key not in told and on_task:
                    told.add(key)
                    on_task(task)
            if state in _FINISHED:
                return str(state)
            time.sleep(_POLL_SECONDS)
        raise DagRunFailed(f"{dag_id} {run_id} did not finish within {timeout_seconds:.0f} s; look at it in Airflow")

    def demand_success(self, dag_id: str, run_id: str, state: str) -> None:
        if state != "success":
            failed = [t.task_id for t in self.tasks(dag_id, run_id) if t.state in {"failed", "upstream_failed"}]
            raise DagRunFailed(f"{dag_id} {run_id} is {state}; failed tasks: {', '.join(failed) or 'none'}")

    def _log_in(self) -> None:
        body = {"username": self._user, "password": self._password}
        token = self._http.post("/auth/token", json=body).raise_for_status().json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self._http.request(method, path, **more)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._log_in()
            answer = self._http.request(method, path, **more)
        return answer

    def _call(self, method: str, path: str, **more: Any) -> Any:
        answer = self._request(method, path, **more)
        if answer.is_error:
            raise DagRunFailed(f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:300]}")
        return answer.json()


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
