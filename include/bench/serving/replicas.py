"""Replicas as processes of their own over a real S3 server, as in production."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import psutil

from include.bench.measurement import Say
from include.bench.services import private_stack
from include.contract.lifecycle_client import ActivatedModel, FaceserveError, LifecycleClient
from include.stack.layout import Stack
from include.stack.ports import free_ports
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
    """A running replica; `ready_seconds` passed from the start of its process to its first answer."""

    address: str
    lifecycle_address: str
    pid: int
    ready_seconds: float

    def lifecycle(self) -> LifecycleClient:
        return LifecycleClient(self.lifecycle_address, token=TOKEN, timeout_seconds=120)


@contextmanager
def object_store(say: Say = click.echo) -> Iterator[Stack]:
    """An S3 server with empty buckets, to which this process's AWS_* variables point meanwhile."""
    with private_stack(say, "s3") as stack:
        _yield_to_others("rclone", stack.root)
        yield stack


def upload(folder: Path, store: Stack, uri: str) -> None:
    """Copy everything in the folder to S3, below `uri`."""
    objects = S3ObjectStore(endpoint=store.s3_endpoint)
    for path in folder.rglob("*"):
        if path.is_file():
            objects.write(f"{uri}{path.relative_to(folder)}", path.read_bytes())


@contextmanager
def replicas(
    stack: Stack, count: int, *, state: Path | None = None, settings: Mapping[str, object] | None = None
) -> Iterator[list[Replica]]:
    """Running replicas; `settings` become FACESERVE_* variables. With an old `state` they serve as before."""
    with ExitStack() as cleanup:
        root = state or Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="bench-state-")))
        yield [cleanup.enter_context(_replica(stack, root / str(number), settings or {})) for number in range(count)]


@contextmanager
def _replica(stack: Stack, state: Path, settings: Mapping[str, object]) -> Iterator[Replica]:
    started = time.monotonic()
    port, lifecycle_port = free_ports(2)
    process = begin(stack, state, {"grpc_port": port, "lifecycle_port": lifecycle_port, **settings})
    try:
        address = f"127.0.0.1:{lifecycle_port}"
        await_replica(address, process, state)
        yield Replica(f"127.0.0.1:{port}", address, process.pid, time.monotonic() - started)
    finally:
        process.terminate()
        process.wait(30)


def begin(store: Stack, state: Path, settings: Mapping[str, object]) -> "subprocess.Popen[bytes]":
    """Start a replica that keeps its state and its log in a folder; `settings` are its ports and more."""
    ours = {"metrics_port": 0, "state_dir": state, "lifecycle_token": TOKEN, "s3_endpoint": store.s3_endpoint}
    variables = {f"FACESERVE_{name.upper()}": str(value) for name, value in {**ours, **settings}.items()}
    command = [sys.executable, "-m", "faceserve", "serve"]
    state.mkdir(parents=True, exist_ok=True)
    with (state / "log").open("a") as log:
        return subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)


@dataclass(frozen=True)
class Deployed:
    """`moments` at which each activation was confirmed; all times are seconds of the monotonic clock."""

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


def await_replica(lifecycle_address: str, process: "subprocess.Popen[bytes]", state: Path) -> None:
    """Until it can be asked, whether it serves or not."""
    with LifecycleClient(lifecycle_address, token=TOKEN, timeout_seconds=2) as client:
        await_answer(lambda: client.status(MODEL), process, state / "log", (FaceserveError,))


def await_answer(
    ask: Callable[[], object], process: "subprocess.Popen[bytes]", log: Path, refused: tuple[type[Exception], ...]
) -> None:
    """Ask until there is an answer; `RuntimeError` with the end of the log when the server does not start."""
    deadline = time.monotonic() + _START_SECONDS
    while (error := _refusal(ask, refused)) is not None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"no server: {error}; its log: {log.read_text()[-1500:]}") from error
        time.sleep(0.02)


def _refusal(ask: Callable[[], object], refused: tuple[type[Exception], ...]) -> Exception | None:
    try:
        ask()
    except refused as error:
        return error
    return None
