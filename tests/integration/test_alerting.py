"""Alerts that nobody would be told of are named, asked of a real Alertmanager."""

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

from include.stack.alerting import alerting_faults, receiver_faults
from include.stack.layout import load_or_create
from include.stack.observing import FOLDER, alertmanager
from include.stack.ports import free_ports
from tests.waiting import until

pytestmark = pytest.mark.integration
REACHED = {"webhook_configs": [{"url": "http://127.0.0.1:9/"}]}


@pytest.fixture
def alertmanager_with(tmp_path):
    """Starts one whose receivers are these; its address."""
    running = []

    def start(receivers):
        (port,) = free_ports(1)
        config = tmp_path / "alertmanager.yaml"
        read = yaml.safe_load((FOLDER / "alertmanager.yaml").read_text())
        config.write_text(yaml.safe_dump({**read, "receivers": receivers or read["receivers"]}))
        (program,) = alertmanager(load_or_create(tmp_path, preferred=False)).programs
        named = [f"--config.file={config}", f"--storage.path={tmp_path}", f"--web.listen-address=127.0.0.1:{port}"]
        command = [program.command[0], *named, "--cluster.listen-address="]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        url = f"http://127.0.0.1:{port}"
        until(lambda: "does not answer" not in str(receiver_faults(url)), "Alertmanager")
        return url

    yield start
    for process in running:
        process.terminate()
        process.wait()


@pytest.mark.parametrize(
    ("receivers", "unheard"),
    [
        (None, ["page", "ticket"]),
        ([{"name": "page", **REACHED}, {"name": "ticket"}], ["ticket"]),
        ([{"name": "page", **REACHED}, {"name": "ticket", "webhook_configs": []}], ["ticket"]),
        ([{"name": "page", **REACHED}, {"name": "ticket", **REACHED}, {"name": "null"}], []),
    ],
)
def test_alerts_that_reach_nobody_are_named(alertmanager_with, receivers, unheard):
    said = receiver_faults(alertmanager_with(receivers))
    assert [sentence.split()[4] for sentence in said] == unheard
    assert all("Being told" in sentence for sentence in said)


def test_whoever_watches_and_does_not_answer_is_named(tmp_path):
    said = alerting_faults(load_or_create(tmp_path, preferred=False))
    assert [sentence.partition(" does not answer at ")[0] for sentence in said] == [
        "Prometheus",
        "the exporter",
        "Alertmanager",
    ]


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"config": {"original": ": : ["}}', b'{"config": {"original": "3"}}']
)
def test_whatever_else_answers_on_its_port_is_no_alertmanager(body):
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        (said,) = receiver_faults(f"http://127.0.0.1:{server.server_port}")
    assert said.startswith("Alertmanager does not answer")
