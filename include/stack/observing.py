"""Who watches: the exporter of our own facts, Prometheus with its rules, and Alertmanager."""

import os
from pathlib import Path
from typing import Any

import yaml

from include.stack.layout import REPOSITORY, Stack, bin_folder
from include.stack.logins import EXPORTER
from include.stack.services import Program, Service, executable, http_answers

FOLDER = REPOSITORY / "include/prometheus"
# Beside settings.env, and like it no part of the repository: who is told, with the addresses and passwords for it.
OWN_RECEIVERS = REPOSITORY / "alertmanager.yaml"
# A demo is over in minutes: what happens in it has to be seen, and told before it is over.
_SCRAPE_INTERVAL, _AFTER = "5s", "10s"


def exporter(stack: Stack) -> Service:
    url = f"http://127.0.0.1:{stack.port('exporter')}/metrics"
    command = (str(bin_folder() / "python"), "-m", "pipeline", "exporter")
    # The exporter may read everything and change nothing.
    reads = {
        "RETRAIN_MLOPS_DSN": stack.dsn("mlops_viewer", "mlops"),
        "RETRAIN_AMQP_URL": stack.amqp_url_of("watcher"),
        "RETRAIN_HELPER_DSN": stack.dsn("mlops_viewer", "helper"),
        "RETRAIN_ACCESS_DSN": stack.dsn("mlops_viewer", "access"),
        "RETRAIN_EXPORTER_OUTBOXES": "true",
        "RETRAIN_EXPORTER_BACKUPS": "true",
        "RETRAIN_EXPORTER_AIRFLOW_USER": EXPORTER,
        "RETRAIN_EXPORTER_AIRFLOW_PASSWORD": stack.secrets["airflow_exporter"],
        **_history(),
    }
    program = Program("exporter", command, lambda: http_answers(url), environment=reads, code=("pipeline",))
    return Service("exporter", (program,), after=("postgres", "rabbitmq"))


def _history() -> dict[str, str]:
    """As long as old runs are kept here by whoever throws them away."""
    days = os.environ.get("AIRFLOW_HISTORY_DAYS")
    return {"RETRAIN_EXPORTER_HISTORY_DAYS": days} if days else {}


def alertmanager(stack: Stack) -> Service:
    home, port = stack.folder("alertmanager"), stack.port("alertmanager")
    command = (
        executable("prometheus-alertmanager"),
        f"--config.file={OWN_RECEIVERS if OWN_RECEIVERS.exists() else FOLDER / 'alertmanager.yaml'}",
        f"--storage.path={home}",
        f"--web.listen-address=127.0.0.1:{port}",
        # One of them needs no company, and would listen on every address for it.
        "--cluster.listen-address=",
        *_found_at("ALERTMANAGER_PUBLIC_URL", port),
    )
    program = Program("alertmanager", command, lambda: http_answers(f"http://127.0.0.1:{port}/-/ready"))
    return Service("alertmanager", (program,))


def prometheus(stack: Stack) -> Service:
    home, port = stack.folder("prometheus"), stack.port("prometheus")
    command = (
        executable("prometheus"),
        f"--config.file={home / 'prometheus.yaml'}",
        f"--storage.tsdb.path={home / 'data'}",
        "--storage.tsdb.retention.time=15d",
        "--storage.tsdb.retention.size=2GB",
        f"--web.listen-address=127.0.0.1:{port}",
        *_found_at("PROMETHEUS_PUBLIC_URL", port),
    )
    program = Program("prometheus", command, lambda: http_answers(f"http://127.0.0.1:{port}/-/ready"))
    return Service("prometheus", (program,), prepare=lambda: _configure(stack, home / "prometheus.yaml"))


def _found_at(variable: str, port: int) -> tuple[str, str]:
    """The address in notices to people; a path in it is for a proxy in front."""
    url = os.environ.get(variable, f"http://127.0.0.1:{port}")
    return f"--web.external-url={url}", "--web.route-prefix=/"


def addresses(stack: Stack) -> dict[str, str]:
    """Where the targets of `include/prometheus/prometheus.yaml` are in this stack."""
    ports = {
        "prometheus:9090": "prometheus",
        "alertmanager:9093": "alertmanager",
        "exporter:9600": "exporter",
        "faceserve-1:9500": "faceserve_1_metrics",
        "faceserve-2:9500": "faceserve_2_metrics",
        "rabbitmq:15692": "rabbitmq_metrics",
    }
    return {target: f"127.0.0.1:{stack.port(name)}" for target, name in ports.items()}


def configuration(stack: Stack) -> dict[str, Any]:
    """That file, with the addresses of this stack."""
    text = (FOLDER / "prometheus.yaml").read_text()
    for target, address in addresses(stack).items():
        text = text.replace(target, address)
    read: dict[str, Any] = yaml.safe_load(text)
    # Debian's Prometheus does not expand variables.
    runbook = {"runbook": os.environ.get("RUNBOOK_URL", "include/runbook.md")}
    intervals = {"scrape_interval": _SCRAPE_INTERVAL, "evaluation_interval": _SCRAPE_INTERVAL}
    return {**read, "global": {**intervals, "external_labels": runbook}}


def rules(path: Path) -> dict[str, Any]:
    """A file of rules whose alerts do not wait for minutes until they are sure."""
    read: dict[str, Any] = yaml.safe_load(path.read_text())
    for rule in (rule for group in read["groups"] for rule in group["rules"]):
        if "for" in rule:
            rule["for"] = _AFTER
    return read


def _configure(stack: Stack, path: Path) -> None:
    path.write_text(yaml.safe_dump(configuration(stack), sort_keys=False))
    folder = path.parent / "rules"
    folder.mkdir(exist_ok=True)
    for file in FOLDER.glob("rules/*.yaml"):
        (folder / file.name).write_text(yaml.safe_dump(rules(file), sort_keys=False, allow_unicode=True))
