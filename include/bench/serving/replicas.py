"""Replicas as processes of their own over a real S3 server, as in production."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import click
import psutil

from include.contract.lifecycle_client import ActivatedModel, FaceserveError, LifecycleClient
from include.stack import runner
from include.stack.layout import Stack, environment
from pipeline.adapters.s3 import S3ObjectStore

TOKEN = "bench"  # noqa: S105 - of processes that live for minutes on the loopback interface
MODEL = "laundry"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Artifact:
    version: str
    uri: str
    manifest_sha256: str


@dataclass(frozen=True)
class Replica:
    """`ready_seconds` from the start of the process to its first answer."""

    address: str
    lifecycle_address: str
    pid: int
    ready_seconds: float

    def lifecycle(self) -> LifecycleClient:
        return LifecycleClient(self.lifecycle_address, token=TOKEN, timeout_seconds=120)


@contextmanager
def object_store() -> Iterator[Stack]:
    """An S3 server with empty buckets; this process's AWS_* variables point to it meanwhile."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        try:
            stack = runner.up(Path(name), click.echo, ["s3"], preferred_ports=False)
            _yield_to_others("rclone", Path(name))
            os.environ |= {k: v for k, v in environment(stack).items() if k.startswith("AWS_")}
            # It would go on with the credentials of the store before.
            boto3.setup_default_session()
            yield stack
        finally:
            runner.clean(Path(name))
            os.environ.clear()
            os.environ |= before
            boto3.setup_default_session()


def upload(folder: Path, store: Stack, uri: str) -> None:
    """Everything in the folder, below `uri`."""
    objects = S3ObjectStore(endpoint=store.s3_endpoint)
    for path in folder.rglob("*"):
        if path.is_file():
            objects.write(f"{uri}{path.relative_to(folder)}", path.read_bytes())


@contextmanager
def replicas(
    stack: Stack, count: int, *, state: Path | None = None, settings: Mapping[str, object] | None = None
) -> Iterator[list[Replica]]:
    """Running replicas; `settings` are FACESERVE_* variables. With `state` they come back with what they served."""
    with ExitStack() as cleanup:
        root = state or Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="bench-state-")))
        yield [cleanup.enter_context(_replica(stack, root / str(number), settings or {})) for number in range(count)]


@contextmanager
def _replica(stack: Stack, state: Path, settings: Mapping[str, object]) -> Iterator[Replica]:
    port, lifecycle_port = free_ports(2)
    variables = {
        "FACESERVE_GRPC_PORT": port,
        "FACESERVE_LIFECYCLE_PORT": lifecycle_port,
        "FACESERVE_METRICS_PORT": 0,
        "FACESERVE_STATE_DIR": state,
        "FACESERVE_LIFECYCLE_TOKEN": TOKEN,
        "FACESERVE_S3_ENDPOINT": stack.s3_endpoint,
        **{f"FACESERVE_{name.upper()}": value for name, value in settings.items()},
    }
    started = time.monotonic()
    state.mkdir(parents=True, exist_ok=True)
    with (state / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "faceserve", "serve"],
            env={**os.environ, **{name: str(value) for name, value in variables.items()}},
            stdout=log,
            stderr=log,
        )
    try:
        address = f"127.0.0.1:{lifecycle_port}"
        _await(address, process, state / "log")
        yield Replica(f"127.0.0.1:{port}", address, process.pid, time.monotonic() - started)
    finally:
        process.terminate()
        process.wait(30)


@dataclass(frozen=True)
class Deployed:
    """`moments` when each replica's activation was confirmed; all times in seconds of the monotonic clock."""

    replicas: tuple[ActivatedModel, ...]
    prepared_at: float
    moments: tuple[float, ...]


def deploy(fleet: Sequence[LifecycleClient], artifact: Artifact) -> Deployed:
    """Prepare on one replica, then on the others, then activate everywhere: what the pipeline does."""

    def prepare(one: LifecycleClient) -> int:
        ready = one.prepare(MODEL, artifact.version, artifact.uri, artifact.manifest_sha256, timeout_seconds=120)
        return ready.epoch

    def activate(one: LifecycleClient, epoch: int) -> tuple[ActivatedModel, float]:
        return one.activate(MODEL, artifact.version, epoch), time.monotonic()

    with ThreadPoolExecutor(len(fleet)) as pool:
        epochs = [prepare(fleet[0]), *pool.map(prepare, fleet[1:])]
        prepared_at = time.monotonic()
        done = list(pool.map(activate, fleet, epochs))
    return Deployed(tuple(one for one, _ in done), prepared_at, tuple(moment for _, moment in done))


def _yield_to_others(name: str, root: Path) -> None:
    """The object store stands for another machine: it must not compete with the servers measured here."""
    for process in psutil.process_iter():
        if process.name() == name and str(root) in " ".join(process.cmdline()):
            os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))


def _await(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with LifecycleClient(address, token=TOKEN, timeout_seconds=2) as client:
        while True:
            try:
                client.status(MODEL)
            except FaceserveError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"no replica: {error}; its log: {log.read_text()[-1500:]}") from error
                time.sleep(0.02)
            else:
                return


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
