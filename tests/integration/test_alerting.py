"""Alerts that nobody would be told of, and what follows from another one and is not told: a real Alertmanager says."""

import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import Request, urlopen

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


# What follows from something else


FILE = yaml.safe_load((FOLDER / "alertmanager.yaml").read_text())
LAUNDRY, FACE = {"model": "laundry", "version": "v1.0.0"}, {"model": "face", "version": "v2.0.0"}
CAUSES = [
    # What is told, what follows from it, and the same of somebody else, which does not.
    (
        {"alertname": "NoReplicaServes"},
        [
            {"alertname": "ReplicaDown", "instance": "a"},
            {"alertname": "ModelUnavailable", **FACE},
            {"alertname": "FewerReplicasServe", **LAUNDRY},
            {"alertname": "ReplicaServesNothing", **LAUNDRY},
            {"alertname": "ErrorBudgetBurnsFast", **LAUNDRY},
            {"alertname": "LatencyBudgetBurns", **LAUNDRY},
            {"alertname": "DeploymentIncomplete", **LAUNDRY},
        ],
        [{"alertname": "DeadLetters"}],
    ),
    (
        {"alertname": "ModelUnavailable", **FACE},
        [
            {"alertname": "FewerReplicasServe", **FACE},
            {"alertname": "ReplicaServesNothing", "instance": "a", **FACE},
            {"alertname": "ErrorBudgetBurns", **FACE},
        ],
        [{"alertname": "FewerReplicasServe", **LAUNDRY}, {"alertname": "ReplicaDown", "instance": "a"}],
    ),
    (
        {"alertname": "ReplicaDown", "instance": "a"},
        [{"alertname": "FewerReplicasServe", **LAUNDRY}],
        [
            {"alertname": "ReplicaServesNothing", "instance": "b", **LAUNDRY},
            {"alertname": "ReplicaDown", "instance": "b"},
        ],
    ),
    (
        {"alertname": "ReplicaServesNothing", "instance": "a", **FACE},
        [{"alertname": "FewerReplicasServe", **FACE}],
        [{"alertname": "FewerReplicasServe", **LAUNDRY}],
    ),
    (
        {"alertname": "ErrorBudgetBurnsFast", **LAUNDRY},
        [{"alertname": "ErrorBudgetBurns", **LAUNDRY}],
        [{"alertname": "ErrorBudgetBurns", **FACE}],
    ),
    (
        {"alertname": "LatencyBudgetBurnsFast", **LAUNDRY},
        [{"alertname": "LatencyBudgetBurns", **LAUNDRY}],
        [{"alertname": "LatencyBudgetBurns", **FACE}, {"alertname": "ErrorBudgetBurns", **LAUNDRY}],
    ),
    (
        {"alertname": "SourceAway", "source": "broker"},
        [
            {"alertname": "OutboxOld", "database": "mlops"},
            {"alertname": "NoticesOld", "database": "mlops"},
            {"alertname": "TargetDown", "job": "rabbitmq"},
        ],
        [{"alertname": "SourceAway", "source": "database"}],
    ),
    ({"alertname": "SourceAway", "source": "database"}, [], [{"alertname": "OutboxOld", "database": "mlops"}]),
    (
        {"alertname": "LiveAccuracyFailing", **LAUNDRY},
        [{"alertname": "GateAndLifeDisagree", **LAUNDRY}, {"alertname": "BlindSampleIsWorse", **LAUNDRY}],
        [{"alertname": "GateAndLifeDisagree", "model": "laundry", "version": "v1.1.0"}],
    ),
    (
        {"alertname": "DagPaused", "dag_id": "task_confirmed_intake"},
        [{"alertname": "ConfirmationsWait"}, {"alertname": "NoConfirmations"}],
        [{"alertname": "MonitorSilent", **LAUNDRY}],
    ),
    (
        {"alertname": "OutboxOld", "database": "helper"},
        [{"alertname": "NoConfirmations"}],
        [{"alertname": "ConfirmationsWait"}],
    ),
    ({"alertname": "OutboxOld", "database": "mlops"}, [], [{"alertname": "NoConfirmations"}]),
    (
        {"alertname": "DagPaused", "dag_id": "live_accuracy_monitor"},
        [{"alertname": "MonitorSilent", **LAUNDRY}],
        [{"alertname": "ConfirmationsWait"}],
    ),
    (
        {"alertname": "SourceAway", "source": "airflow"},
        [{"alertname": "SourceAway", "source": "dags"}],
        [{"alertname": "SourceAway", "source": "database"}],
    ),
    (
        {"alertname": "ExporterAway"},
        [{"alertname": "SourceAway", "source": "registry"}],
        [{"alertname": "TargetDown", "job": "rabbitmq"}],
    ),
]


def inhibited(url, *alerts):
    """Which of the alerts, posted together, are not told because of others; afterwards they are over."""

    def post(**times):
        body = json.dumps([{"labels": labels, **times} for labels in alerts]).encode()
        urlopen(Request(f"{url}/api/v2/alerts", body, {"Content-Type": "application/json"}), timeout=60).close()

    def seen():
        with urlopen(f"{url}/api/v2/alerts", timeout=60) as answer:
            return {json.dumps(one["labels"], sort_keys=True): one["status"] for one in json.load(answer)}

    post()
    names = [json.dumps(labels, sort_keys=True) for labels in alerts]
    # Of an alert that was not looked at yet nothing is known.
    until(
        lambda: all(seen().get(name, {}).get("state") in ("active", "suppressed") for name in names), "its word on all"
    )
    said = seen()
    post(startsAt="2026-01-01T00:00:00Z", endsAt="2026-01-01T00:00:01Z")
    until(lambda: not seen(), "them to be over")
    return [labels for labels, name in zip(alerts, names, strict=True) if said[name]["inhibitedBy"]]


@pytest.mark.parametrize(
    ("cause", "follows", "others"), CAUSES, ids=lambda one: one["alertname"] if isinstance(one, dict) else ""
)
def test_what_follows_from_another_alert_is_not_told_beside_it(alertmanager_with, cause, follows, others):
    url = alertmanager_with(None)
    for one in follows:
        assert inhibited(url, one) == []
        assert inhibited(url, cause, one) == [one]
    for one in others:
        assert inhibited(url, cause, one) == []


def test_every_inhibition_and_every_alert_that_it_names_is_tried():
    """A rule that is new, or one that names another alert, needs its case."""
    named = set()
    for rule in FILE["inhibit_rules"]:
        causes = [m.partition(" = ") for m in rule["source_matchers"]]
        matching = [follows for cause, follows, _ in CAUSES if all(cause.get(k) == v for k, _, v in causes)]
        tried = {one["alertname"] for follows in matching for one in follows}
        pattern = rule["target_matchers"][0].partition(" ")[2].lstrip("=~ ").strip('"')
        named |= {part for part in pattern.split("|") if not any(re.fullmatch(part, one) for one in tried)}
        assert matching, rule
    assert named == set()
