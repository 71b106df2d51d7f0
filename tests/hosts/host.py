"""A worker in namespaces of its own: of this machine it has the code, and of everything else the services alone."""

import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from include.stack.knowing import tasks_by
from include.stack.layout import REPOSITORY, Stack, bin_folder, environment
from tests.waiting import until

# What a worker talks to; nothing else is to be reached from there.
SERVICES = (
    "airflow",
    "mlflow",
    "postgres",
    "rabbitmq",
    "s3",
    "faceserve_1_lifecycle",
    "faceserve_2_lifecycle",
    "faceserve_1",
    "faceserve_2",
)
_PATIENCE_SECONDS = 600
# Network, mounts and name: the folder of the stack is empty there, and so is the one for temporary files.
_BECOME = """
set -e
ip link set lo up
hostname "$HOST_NAME"
for folder in "$STACK_DIR" /tmp; do mkdir -p "$folder"; mount -t tmpfs none "$folder"; done
mkdir -p "$AIRFLOW_HOME" && cd "$CODE" && exec "$@"
"""


class Host:
    """`python -m include.stack.airflow_worker` with these queues and one place."""

    def __init__(self, stack: Stack, name: str, queues: str, more: Mapping[str, str] = {}) -> None:
        self.name = name
        variables = {
            **{key: value for key, value in os.environ.items() if not key.startswith("RETRAINING_STACK")},
            **environment(stack),
            **tasks_by(stack, "worker"),
            "AIRFLOW_HOME": "/tmp/airflow",
            "HOME": "/tmp",
            "HOST_NAME": name,
            "CODE": str(REPOSITORY),
            **more,
        }
        words = (str(bin_folder() / "python"), "-m", "include.stack.airflow_worker", queues, "1", "--skip-serve-logs")
        self.log = stack.log(f"host_{name}")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "--mount", "--uts", "sh", "-c", _BECOME, "sh", *words],
                env=variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._doors = [_door(self.process.pid, stack.port(service)) for service in SERVICES]

    def settled(self) -> bool:
        """It takes tasks, or has ended."""
        return " ready." in self.log.read_text(errors="replace") or self.process.poll() is not None

    def kill(self) -> None:
        """As when the power fails: every process of it at once, and no word to anybody."""
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=30)
        self.process.wait()
        for door in self._doors:
            door.close()


def await_ready(hosts: Sequence[Host]) -> None:
    for host in hosts:
        until(host.settled, f"{host.name} to be ready", _PATIENCE_SECONDS)
        assert host.process.poll() is None, host.log.read_text()[-2000:]


def _door(pid: int, port: int) -> socket.socket:
    """A service of this machine, at its address there: what comes in there goes out here."""
    listening: list[socket.socket] = []

    def enter() -> None:
        # A thread of its own goes there and never comes back; its sockets stay there.
        libc = ctypes.CDLL(None, use_errno=True)
        with there.open("rb") as namespace:
            if libc.setns(namespace.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        listening.append(socket.create_server(("127.0.0.1", port), backlog=64))

    here, there = Path("/proc/self/ns/net"), Path(f"/proc/{pid}/ns/net")
    until(lambda: there.readlink() != here.readlink(), "the namespace", 60)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if not listening:
        sys.exit(f"no way into the namespace of process {pid}: root is needed")
    threading.Thread(target=_let_through, args=(listening[0], port), daemon=True).start()
    return listening[0]


def _let_through(door: socket.socket, port: int) -> None:
    while True:
        try:
            caller, _ = door.accept()
        except OSError:
            return
        try:
            service = socket.create_connection(("127.0.0.1", port))
        except OSError:
            caller.close()
            continue
        for one, other in ((caller, service), (service, caller)):
            threading.Thread(target=_pour, args=(one, other), daemon=True).start()


def _pour(source: socket.socket, into: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            into.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, into):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
