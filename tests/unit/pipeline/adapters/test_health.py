"""What Airflow and MLflow say of their health, through real HTTP."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipeline.adapters.health import airflow_health, demand_registry
from pipeline.domain.errors import ServiceUnavailable
from tests.listening import listen

HEALTH = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "unhealthy", "latest_scheduler_heartbeat": None},
    "triggerer": {"status": None},
}


@pytest.fixture
def server():
    """A server whose answer, status and body, can be set; its address is `url`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            made.asked.append(self.path)
            status, body = made.answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said):
            """Nobody reads it."""

    made = HTTPServer(("127.0.0.1", 0), Handler)
    made.asked, made.answer, made.url = [], (200, b"OK"), f"http://127.0.0.1:{made.server_port}"
    thread = listen(made)
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_each_part_of_airflow_is_healthy_or_not(server):
    server.answer = (200, json.dumps(HEALTH).encode())
    assert airflow_health(server.url + "/") == {"metadatabase": True, "scheduler": False, "triggerer": False}
    assert server.asked == ["/api/v2/monitor/health"]


@pytest.mark.parametrize("answer", [(500, b"{}"), (200, b"<html>"), (200, b"[]"), (200, b'{"scheduler": 1}')])
def test_an_answer_that_says_nothing_is_none(server, answer):
    server.answer = answer
    with pytest.raises(ServiceUnavailable, match="Airflow"):
        airflow_health(server.url)


def test_a_registry_answers_or_is_away(server):
    demand_registry(server.url)
    server.answer = (503, b"")
    with pytest.raises(ServiceUnavailable, match="MLflow"):
        demand_registry(server.url)
    with pytest.raises(ServiceUnavailable, match="MLflow"):
        demand_registry("http://127.0.0.1:9")
