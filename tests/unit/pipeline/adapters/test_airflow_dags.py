"""What Airflow says of DAGs to a login that looks, through real HTTP; with a real one: tests/dags/test_lifecycle.py."""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.adapters.airflow_dags import AirflowDags, AirflowLogin
from pipeline.domain.errors import ServiceUnavailable

MONITOR = "live_accuracy_monitor"


class Airflow:
    """Answers as it does: `paused` by DAG, `runs` of the monitor oldest first; only `token` lets anybody look."""

    def __init__(self):
        self.paused, self.runs, self.unreadable = {MONITOR: False, "backup": True}, ["2026-05-01T00:00:00Z"], 2
        self.token, self.logins, self.looks, self.odd = "first", 0, 0, None

    def answer(self, method, address, authorization, body):
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        if (method, path) == ("POST", "/auth/token"):
            self.logins += 1
            right = body == {"username": "exporter", "password": "secret"}
            return (201, {"access_token": self.token}) if right else (401, {"detail": "Invalid credentials"})
        if authorization != f"Bearer {self.token}":
            return 401, {"detail": "Not authenticated"}
        self.looks += 1
        if self.odd:
            return self.odd
        return 200, self._said(path, query)

    def _said(self, path, query):
        if path == "/api/v2/dags":
            first, most = int(query["offset"][0]), min(int(query["limit"][0]), 100)
            found = [{"dag_id": dag, "is_paused": paused} for dag, paused in sorted(self.paused.items())]
            return {"dags": found[first : first + most], "total_entries": len(found)}
        if path == f"/api/v2/dags/{MONITOR}/dagRuns":
            assert query == {"limit": ["1"], "order_by": ["run_after"]}
            return {"dag_runs": [{"run_after": at} for at in self.runs[:1]]}
        assert path == "/api/v2/importErrors"
        return {"import_errors": [], "total_entries": self.unreadable}


@pytest.fixture
def airflow():
    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, found = made.answer(self.command, self.path, self.headers.get("Authorization"), body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        do_GET = do_POST = answer

        def log_message(self, *said):
            """Nobody reads it."""

    made, server = Airflow(), HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def clock():
    return SimpleNamespace(now=0.0)


def looking(airflow, clock, password="secret"):
    return AirflowDags(AirflowLogin(airflow.url + "/", "exporter", password), {MONITOR, "backup"}, lambda: clock.now)


def test_who_is_paused_what_cannot_be_read_and_how_far_back_airflow_remembers(airflow, clock):
    seen = looking(airflow, clock).seen()
    assert seen.paused == {MONITOR: False, "backup": True}
    assert seen.unreadable == 2
    assert seen.oldest_run == datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize("others", [1, 99, 100, 250])
def test_dags_of_others_are_not_told_however_many_there_are(airflow, clock, others):
    airflow.paused |= {f"another-{number}": True for number in range(others)}
    assert looking(airflow, clock).seen().paused == {MONITOR: False, "backup": True}


@pytest.mark.parametrize("known", [{}, {"backup": False}, {MONITOR: False}])
def test_before_the_monitors_first_run_nothing_is_remembered(airflow, clock, known):
    airflow.paused, airflow.runs = known, []
    seen = looking(airflow, clock).seen()
    assert (seen.paused, seen.oldest_run) == (known, None)


def test_what_is_told_is_never_older_than_half_a_minute(airflow, clock):
    dags = looking(airflow, clock)
    dags.seen()
    airflow.paused[MONITOR] = True
    clock.now, looks = 29.9, airflow.looks
    assert not dags.seen().paused[MONITOR] and airflow.looks == looks
    clock.now = 30.0
    assert dags.seen().paused[MONITOR]


def test_once_it_is_away_nothing_old_is_told(airflow, clock):
    dags = looking(airflow, clock)
    dags.seen()
    clock.now, airflow.odd = 31.0, (500, {})
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match="Airflow"):
            dags.seen()
    airflow.odd = None
    assert dags.seen().paused["backup"]


def test_a_token_that_no_longer_counts_is_replaced_by_another_login(airflow, clock):
    dags = looking(airflow, clock)
    dags.seen()
    assert airflow.logins == 1
    clock.now, airflow.token = 60.0, "second"
    assert dags.seen().unreadable == 2
    assert airflow.logins == 2


def test_a_wrong_password_is_said_without_saying_it(airflow, clock):
    with pytest.raises(ServiceUnavailable, match="as exporter.*401") as refused:
        looking(airflow, clock, "another secret").seen()
    assert "another secret" not in str(refused.value)


@pytest.mark.parametrize("odd", [(200, []), (200, {"dags": None}), (200, {"dags": [{"dag_id": 1}]}), (403, {})])
def test_an_answer_that_says_nothing_is_none(airflow, clock, odd):
    airflow.odd = odd
    with pytest.raises(ServiceUnavailable, match="Airflow"):
        looking(airflow, clock).seen()
