"""What Airflow says of our DAGs to a login that only looks, over its REST API."""

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.troubles import MONITOR
from pipeline.ports.facts import DagsSeen

_SECONDS = 3.0
# Each look takes Airflow more work than all else that is told: it may be so old, and no older.
_FRESH_SECONDS = 30.0
# The most that Airflow hands out at once; others may have DAGs there, too.
_AT_ONCE = 100


@dataclass(frozen=True)
class AirflowLogin:
    """Of role viewer, which may change nothing."""

    url: str
    user: str
    password: str = field(repr=False)


class AirflowDags:
    """Of the DAGs called as `ours`. Logs in before the first look, and again when its token no longer counts."""

    def __init__(self, login: AirflowLogin, ours: Collection[str], now: Callable[[], float] = time.monotonic) -> None:
        self._login, self._ours, self._now = login, ours, now
        self._token = ""
        self._seen: tuple[float, DagsSeen] | None = None

    def seen(self) -> DagsSeen:
        """At most half a minute old. Raises `ServiceUnavailable` when Airflow is away, or lets this login not look."""
        if self._seen and self._now() - self._seen[0] < _FRESH_SECONDS:
            return self._seen[1]
        self._seen = None
        try:
            self._seen = self._now(), (found := self._look())
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
            raise ServiceUnavailable("Airflow", f"{self._login.url} as {self._login.user}: {error}") from error
        return found

    def _look(self) -> DagsSeen:
        paused = {one["dag_id"]: bool(one["is_paused"]) for one in self._every_dag() if one["dag_id"] in self._ours}
        oldest = f"dags/{MONITOR}/dagRuns"
        runs = self._get(oldest, limit=1, order_by="run_after")["dag_runs"] if MONITOR in paused else []
        return DagsSeen(
            paused=paused,
            unreadable=int(self._get("importErrors", limit=1)["total_entries"]),
            oldest_run=datetime.fromisoformat(runs[0]["run_after"]) if runs else None,
        )

    def _every_dag(self) -> list[dict[str, Any]]:
        """No filter of Airflow's is right for all: of a DAG whose every task is mapped it knows no owner."""
        found: list[dict[str, Any]] = []
        while True:
            page = self._get("dags", limit=_AT_ONCE, offset=len(found), order_by="dag_id")
            found += page["dags"]
            if not page["dags"] or len(found) >= page["total_entries"]:
                return found

    def _get(self, path: str, **query: object) -> Any:
        asked = f"/api/v2/{path}?{urlencode(query)}"
        if self._token:
            try:
                return self._call(asked, {"Authorization": f"Bearer {self._token}"})
            except HTTPError as error:
                if error.code != HTTPStatus.UNAUTHORIZED:
                    raise
        login = {"username": self._login.user, "password": self._login.password}
        self._token = ""
        self._token = self._call("/auth/token", {"Content-Type": "application/json"}, login)["access_token"]
        return self._call(asked, {"Authorization": f"Bearer {self._token}"})

    def _call(self, path: str, headers: Mapping[str, str], body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self._login.url.rstrip("/") + path, data, dict(headers)), timeout=_SECONDS) as answer:
            return json.loads(answer.read())
