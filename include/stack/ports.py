"""The stack's preferred ports, and free ports of the loopback interface."""

import random
import socket
from collections.abc import Collection, Sequence

_SAFE_PORTS = range(20_000, 32_000)

PREFERRED_PORTS = {
    "airflow": 8080,
    "mlflow": 5000,
    "helper": 8090,
    "access": 8091,
    "prometheus": 9090,
    "alertmanager": 9093,
    "exporter": 9600,
    "faceserve_1": 8500,
    "faceserve_2": 8501,
    "faceserve_1_lifecycle": 8600,
    "faceserve_2_lifecycle": 8601,
    "faceserve_1_http": 8700,
    "faceserve_2_http": 8701,
    "faceserve_1_metrics": 9500,
    "faceserve_2_metrics": 9501,
    "postgres": 25432,
    "rabbitmq": 26672,
    "rabbitmq_distribution": 26673,
    "rabbitmq_metrics": 26692,
    "epmd": 24369,
    "s3": 29000,
    "airflow_worker_logs": 28793,
    "airflow_triggerer_logs": 28794,
}


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback interface that nobody listens on."""
    found: list[int] = []
    while len(found) < count:
        found.append(free_port([], taken=found))
    return found


def free_port(wanted: Sequence[int], taken: Collection[int]) -> int:
    """A free port below Linux' range for outgoing connections, which may take one at any moment."""
    for port in (*wanted, *random.sample(_SAFE_PORTS, 100)):
        if port not in taken and is_free(port):
            return port
    raise OSError("no free port on 127.0.0.1")


def is_free(port: int) -> bool:
    """Whether a program could listen there, on the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
