"""The client of Airflow's REST API against an HTTP server that answers as Airflow does."""

import json
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from include.docker.health import healthy
from include.stack.__main__ import main as stack_command
from include.stack.airflow_api import AirflowApi, AirflowError, DagRunFailed
from tests.listening import listen

IMPATIENT_SECONDS = 0.2
STARTED, ENDED = "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:02+00:00"


class Airflow:
    """`answers` by method and path, one after the other, the last for ever; `asked` is what came, body last."""

    def __init__(self):
        self.token, self.answers, self.asked = "first", {}, []

    def answer(self, method, path, token, body):
        if (method, path) == ("POST", "/auth/token"):
            right = body == {"username": "admin", "password": "secret"}
            return (201, {"access_token": self.token}) if right else (401, {"detail": "wrong password"})
        self.asked.append((method, path, body))
        if token != f"Bearer {self.token}" and path != "/api/v2/monitor/health":
            return 401, {"detail": "expired"}
        left = self.answers.get((method, path), [(404, {"detail": "not found"})])
        return left.pop(0) if len(left) > 1 else left[0]


def handler(airflow):
    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, found = airflow.answer(self.command, self.path, self.headers.get("Authorization"), body)
            # A client that no longer waits has gone away.
            with suppress(ConnectionError):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

        do_GET = do_POST = do_PATCH = answer

        def log_message(self, *arguments): ...

    return Handler


@pytest.fixture
def airflow():
    return Airflow()


@pytest.fixture
def url(airflow):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(airflow))
    thread = listen(server)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def api(url):
    return AirflowApi(url, "admin", "secret", timeout_seconds=60)


def task(name, state, *, index=-1, ended=ENDED):
    return {"task_id": name, "map_index": index, "state": state, "start_date": STARTED, "end_date": ended}


def test_a_dag_is_unpaused_by_whoever_has_the_password(airflow, api):
    airflow.answers["PATCH", "/api/v2/dags/intake"] = [(200, {})]
    api.unpause("intake")
    assert airflow.asked == [("PATCH", "/api/v2/dags/intake", {"is_paused": False})]


def test_when_its_token_has_expired_it_logs_in_again(airflow, api):
    airflow.answers["GET", "/api/v2/dags/intake"] = [(200, {"is_paused": True})]
    assert api.paused("intake")
    airflow.token = "second"
    assert api.paused("intake")


def test_a_wrong_password_is_said(url):
    with pytest.raises(AirflowError, match="401 to POST /auth/token.*wrong password") as refused:
        AirflowApi(url, "admin", "guess").pause("intake")
    assert refused.value.status == 401


def test_a_dag_that_was_not_parsed_yet_is_unknown(airflow, api):
    airflow.answers["GET", "/api/v2/dags/intake"] = [(404, {}), (200, {"is_paused": True})]
    assert [api.knows("intake"), api.knows("intake")] == [False, True]


def test_a_connection_exists_or_not(airflow, api):
    airflow.answers["GET", "/api/v2/connections/smtp_default"] = [(404, {}), (200, {"conn_type": "smtp"})]
    assert [api.has_connection("smtp_default"), api.has_connection("smtp_default")] == [False, True]


def test_an_error_is_no_unknown_dag(airflow, api):
    airflow.answers["GET", "/api/v2/dags/intake"] = [(500, {"detail": "database is down"})]
    with pytest.raises(AirflowError, match="500 to GET /api/v2/dags/intake.*database is down"):
        api.knows("intake")


def test_nobody_listening_is_said_with_what_to_do():
    with pytest.raises(AirflowError, match="no answer from Airflow.*`make status`") as silent:
        AirflowApi("http://127.0.0.1:9", "admin", "secret").pause("intake")
    assert silent.value.status == 0


def test_an_answer_that_does_not_come_in_time_is_none(url, airflow):
    gate = threading.Event()
    airflow.answer = lambda *asked: (gate.wait(60), (200, {}))[1]
    with pytest.raises(AirflowError, match="timed out"):
        AirflowApi(url, "admin", "secret", timeout_seconds=IMPATIENT_SECONDS).pause("intake")
    gate.set()


def test_health_needs_no_login(airflow, url):
    airflow.answers["GET", "/api/v2/monitor/health"] = [(200, {"scheduler": {"status": "healthy"}, "triggerer": {}})]
    assert AirflowApi(url).health() == {"scheduler": "healthy", "triggerer": "None"}


def test_a_pool_that_is_there_is_changed(airflow, api):
    airflow.answers["POST", "/api/v2/pools"] = [(409, {})]
    # Airflow lets nothing else be changed of its own default pool.
    path = "/api/v2/pools/default_pool?update_mask=slots&update_mask=include_deferred"
    airflow.answers["PATCH", path] = [(200, {})]
    rules = {"slots": 3, "description": "what can wait", "include_deferred": False}
    api.pool("default_pool", rules)
    assert airflow.asked[-1] == ("PATCH", path, {"pool": "default_pool", **rules})


def test_open_runs_end_as_failed(airflow, api):
    for state, runs in (("running", [{"dag_run_id": "a b"}]), ("queued", [{"dag_run_id": "c"}])):
        path = f"/api/v2/dags/intake/dagRuns?order_by=run_after&limit=50&state={state}"
        airflow.answers["GET", path] = [(200, {"dag_runs": runs})]
    runs = "/api/v2/dags/intake/dagRuns"
    airflow.answers["PATCH", f"{runs}/a%20b"] = [(200, {"state": "failed"})]
    # The other one has something left to tidy up, which the scheduler does not begin while the DAG is paused.
    airflow.answers["PATCH", f"{runs}/c"] = [(200, {"state": "queued"}), (200, {"state": "failed"})]
    left = [task("begin", "skipped"), task("finish", None, ended=None), task("slice", "scheduled", index=2, ended=None)]
    airflow.answers["GET", f"{runs}/c/taskInstances?limit=100"] = [(200, {"task_instances": left})]
    for place in ("finish", "slice/2"):
        airflow.answers["PATCH", f"{runs}/c/taskInstances/{place}"] = [(200, {})]
    api.fail_open_runs("intake")
    assert [asked for asked in airflow.asked if asked[0] == "PATCH"] == [
        ("PATCH", f"{runs}/a%20b", {"state": "failed"}),
        ("PATCH", f"{runs}/c", {"state": "failed"}),
        ("PATCH", f"{runs}/c/taskInstances/finish", {"new_state": "failed"}),
        ("PATCH", f"{runs}/c/taskInstances/slice/2", {"new_state": "failed"}),
        ("PATCH", f"{runs}/c", {"state": "failed"}),
    ]


def test_every_task_that_ends_is_told_of_once_while_the_run_is_waited_for(airflow, api):
    run = "/api/v2/dags/intake/dagRuns/run-1"
    airflow.answers["GET", run] = [(200, {"state": "running"}), (200, {"state": "success"})]
    airflow.answers["GET", f"{run}/taskInstances?limit=100"] = [
        (200, {"task_instances": [task("drain", "up_for_retry"), task("store", "running", ended=None)]}),
        (200, {"task_instances": [task("drain", "success"), task("store", "success", index=0)]}),
    ]
    told = []
    assert api.wait("intake", "run-1", timeout_seconds=60, on_task=told.append) == "success"
    assert [(t.task_id, t.map_index, t.state) for t in told] == [("drain", -1, "success"), ("store", 0, "success")]


def test_a_run_that_failed_names_its_tasks(airflow, api):
    tasks = [task("drain", "success"), task("store", "failed"), task("due", "upstream_failed")]
    airflow.answers["GET", "/api/v2/dags/intake/dagRuns/run-1/taskInstances?limit=100"] = [
        (200, {"task_instances": tasks})
    ]
    with pytest.raises(DagRunFailed, match="intake run-1 is failed; failed tasks: store, due"):
        api.demand_success("intake", "run-1", "failed")


def test_a_run_that_does_not_end_is_not_waited_for_for_ever(airflow, api):
    airflow.answers["GET", "/api/v2/dags/intake/dagRuns/run-1"] = [(200, {"state": "running"})]
    with pytest.raises(DagRunFailed, match="did not finish within 0 s"):
        api.wait("intake", "run-1", timeout_seconds=IMPATIENT_SECONDS)


def test_what_a_task_returned_is_read(airflow, api):
    path = "/api/v2/dags/intake/dagRuns/run-1/taskInstances/due/xcomEntries/return_value?deserialize=true"
    airflow.answers["GET", path] = [(200, {"value": {"due": True}})]
    assert api.result("intake", "run-1", "due") == {"due": True}


LOOKS = "/api/v2/dags/live_accuracy_monitor/dagRuns?order_by=-end_date&limit=1&state=success"
WELL = {"scheduler": {"status": "healthy"}}


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ((WELL, [], 59), []),
        ((WELL, [], 61), ["live_accuracy_monitor looked last at "]),
        ((WELL, [], None), ["live_accuracy_monitor never looked"]),
        (({**WELL, "triggerer": {"status": "unhealthy"}}, [], 1), ["Airflow's triggerer is unhealthy"]),
        ((WELL, ["model_rollback.py"], 1), ["model_rollback.py cannot be read: SyntaxError: invalid syntax"]),
    ],
)
def test_whoever_watches_airflow_is_told_what_airflow_cannot_tell(airflow, url, seen, said):
    parts, unread, minutes = seen
    ended = None if minutes is None else (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
    errors = [{"filename": name, "stack_trace": "Traceback …\nSyntaxError: invalid syntax\n"} for name in unread]
    airflow.answers["GET", "/api/v2/monitor/health"] = [(200, parts)]
    airflow.answers["GET", "/api/v2/importErrors"] = [(200, {"import_errors": errors})]
    airflow.answers["GET", LOOKS] = [(200, {"dag_runs": [{"end_date": ended}] if ended else []})]
    done = CliRunner().invoke(stack_command, ["check", "--airflow-url", url, "--password", "secret"])
    lines = done.stdout.splitlines()
    assert done.exit_code == bool(said)
    assert len(lines) == len(said) and all(line.startswith(text) for line, text in zip(lines, said, strict=True))


def test_whoever_watches_airflow_is_told_that_nobody_answers():
    done = CliRunner().invoke(stack_command, ["check", "--airflow-url", "http://127.0.0.1:9"])
    assert (done.exit_code, done.stdout.startswith("no answer from Airflow")) == (1, True)


@pytest.mark.parametrize(("part", "well"), [("scheduler", True), ("triggerer", False), ("no such part", False)])
def test_a_container_is_healthy_when_airflow_says_so(airflow, url, monkeypatch, part, well):
    monkeypatch.setenv("AIRFLOW_URL", url)
    parts = {"scheduler": {"status": "healthy"}, "triggerer": {"status": "unhealthy"}}
    airflow.answers["GET", "/api/v2/monitor/health"] = [(200, parts)]
    assert healthy("airflow", part) is well


def test_a_container_is_not_healthy_when_airflow_does_not_answer(monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW_URL", "http://127.0.0.1:9")
    assert not healthy("airflow", "scheduler")
    assert "no answer from Airflow" in capsys.readouterr().err
