"""A private faceserve process with one model in it, for measuring (ADR 0007)."""

import fcntl
import os
import random
import resource
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path

import psutil

from include.contract.client import FaceserveClient, FaceserveError
from include.contract.lifecycle_client import LifecycleClient
from pipeline.domain.checks import PerformanceMeasurement
from pipeline.domain.errors import ModelRefused, ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType

# Below Linux' range for outgoing connections, which may take any port in it at any moment.
_PORTS = range(20_000, 32_000)
_START_SECONDS = 120.0
_PREPARE_SECONDS = 120.0
_DEATH_SECONDS = 2.0
# Settings of where a replica listens and whom it lets in: they name files that only a replica has, and would end the
# trial at its start.
_DOORS = tuple(
    f"FACESERVE_{one}" for one in ("HOST", "HTTP_PORT", "HEALTH_PORT", "LIFECYCLE_", "ENROLMENT_", "INFERENCE_", "TLS_")
)
# Far above the gate's bar: a model that needs more brings down its own server, not the machine.
_MEMORY_LIMIT_BYTES = 8 * 1024**3
_SAMPLE_SECONDS = 0.05
_CLASSIFY_CONCURRENCY = 2
_BATCH = 16
_YIELD_SECONDS = 0.01


class FaceserveTrialServer:
    """`s3_endpoint` is where the artifact is read from, with the credentials in `s3_variables`, else with inherited
    ones.
    """

    def __init__(self, *, s3_endpoint: str | None, s3_variables: Mapping[str, str] | None = None) -> None:
        self._s3_endpoint = s3_endpoint
        self._s3_variables = s3_variables or {}

    @contextmanager
    def serve(self, model_type: ModelType, version: str, artifact: Artifact) -> Iterator["FaceserveTrial"]:
        with self.start(model_type) as server:
            yield server.load(version, artifact)

    @contextmanager
    def start(self, model_type: ModelType) -> Iterator["StartedFaceserve"]:
        token = secrets.token_urlsafe(16)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trial-")))
            port, lifecycle_port = _free_ports(2)
            client = stack.enter_context(FaceserveClient([f"127.0.0.1:{port}"], timeout_seconds=30))
            lifecycle = stack.enter_context(LifecycleClient(f"127.0.0.1:{lifecycle_port}", token=token))
            with _turn():
                process = self._start(folder, port, lifecycle_port, token)
                stack.callback(_stop, process)
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (_MEMORY_LIMIT_BYTES,) * 2)
                _await(lifecycle, model_type.lower(), process, folder)
            yield StartedFaceserve(model_type.lower(), process, client, lifecycle)

    def _start(self, folder: Path, port: int, lifecycle_port: int, token: str) -> "subprocess.Popen[bytes]":
        variables = {
            "FACESERVE_GRPC_PORT": str(port),
            "FACESERVE_LIFECYCLE_PORT": str(lifecycle_port),
            "FACESERVE_METRICS_PORT": "0",
            # It serves the candidate, not the champion.
            "FACESERVE_REGISTRY_URL": "",
            "FACESERVE_REPLICA": "trial",
            "FACESERVE_STATE_DIR": str(folder / "state"),
            "FACESERVE_LIFECYCLE_TOKEN": token,
            "FACESERVE_DRAIN_SECONDS": "1",
            # The trial is a process of its own already.
            "FACESERVE_VET_SECONDS": "0",
        }
        if self._s3_endpoint:
            variables["FACESERVE_S3_ENDPOINT"] = self._s3_endpoint
        with (folder / "log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "faceserve", "serve"],
                env={**without_doors(os.environ), **self._s3_variables, **variables},
                stdout=log,
                stderr=log,
            )


def without_doors(variables: Mapping[str, str]) -> dict[str, str]:
    """Settings of replicas also reach this process: a trial takes over those about serving models, and no others."""
    return {name: value for name, value in variables.items() if not name.startswith(_DOORS)}


class StartedFaceserve:
    def __init__(
        self, model: str, process: "subprocess.Popen[bytes]", client: FaceserveClient, lifecycle: LifecycleClient
    ) -> None:
        self._model = model
        self._process = process
        self._client = client
        self._lifecycle = lifecycle

    def load(self, version: str, artifact: Artifact) -> "FaceserveTrial":
        if self._process.poll() is not None:
            raise ServiceUnavailable("the trial server", f"it ended before {version} was loaded")
        with _turn(), _translated(self._process):
            prepared = self._lifecycle.prepare(
                self._model, version, artifact.uri, artifact.manifest_sha256, timeout_seconds=_PREPARE_SECONDS
            )
            self._lifecycle.activate(self._model, version, prepared.epoch, timeout_seconds=10)
        return FaceserveTrial(self._client, self._model, self._process)


class FaceserveTrial:
    def __init__(self, client: FaceserveClient, model: str, process: "subprocess.Popen[bytes]") -> None:
        self._client = client
        self._model = model
        self._process = process

    def classify(self, photos: Iterable[bytes]) -> Sequence[str]:
        labels: list[str] = []
        waiting = iter(photos)
        with _translated(self._process), ThreadPoolExecutor(_CLASSIFY_CONCURRENCY) as pool:
            while batch := list(islice(waiting, _BATCH)):
                with _turn():
                    labels += [one.label for one in pool.map(lambda p: self._client.classify(self._model, p), batch)]
                # A short pause: else we would take the lock again before anybody who waits for it.
                time.sleep(_YIELD_SECONDS)
        return labels

    def measure(self, photos: Sequence[bytes], *, requests: int, concurrency: int) -> PerformanceMeasurement:
        def timed(photo: bytes) -> float:
            started = time.perf_counter()
            self._client.classify(self._model, photo)
            return (time.perf_counter() - started) * 1000

        with (
            _turn(),
            _translated(self._process),
            _Usage(self._process.pid) as usage,
            ThreadPoolExecutor(concurrency) as pool,
        ):
            started = time.perf_counter()
            latencies = list(pool.map(timed, islice(cycle(photos), requests)))
            seconds = time.perf_counter() - started
        return PerformanceMeasurement(
            mean_latency_ms=statistics.fmean(latencies),
            p95_latency_ms=statistics.quantiles(latencies, n=20)[18],
            throughput_per_second=requests / seconds,
            memory_bytes=usage.peak_memory_bytes,
            gpu_utilization=usage.mean_gpu_utilization,
            requests=requests,
        )


class _Usage:
    """Samples the process's memory, and the GPUs if there are any, until its block ends."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._gpu = _gpu_reader()
        self._gpu_samples: list[float] = []
        self.peak_memory_bytes = 0

    @property
    def mean_gpu_utilization(self) -> float | None:
        return statistics.fmean(self._gpu_samples) if self._gpu_samples else None

    def __enter__(self) -> "_Usage":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self.peak_memory_bytes = max(self.peak_memory_bytes, self._process.memory_info().rss)
            if self._gpu is not None:
                self._gpu_samples.append(self._gpu())


def _gpu_reader():  # type: ignore[no-untyped-def]
    """A function giving utilization 0-1 of the busiest GPU, or None on a machine without one."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return None
    if not handles:
        return None
    return lambda: max(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu for handle in handles) / 100


def _await(client: LifecycleClient, model: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            client.status(model, timeout_seconds=2)
        except FaceserveError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = (folder / "log").read_text(errors="replace")[-1000:]
                raise ServiceUnavailable("the trial server", f"{error}; its log ends: {tail}") from error
            time.sleep(0.1)
        else:
            return


@contextmanager
def _turn() -> Iterator[None]:
    """One trial at a time on this machine: trials must not slow each other's measurements down."""
    with Path(tempfile.gettempdir(), f"faceserve-trials-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _translated(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """An outage may pass; but when a server that has only this model in it dies or hangs, the model is the cause."""
    try:
        yield
    except FaceserveError as error:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_DEATH_SECONDS)
        if process.returncode is not None:
            raise ModelRefused(f"the model takes its server down (exit code {process.returncode})") from error
        if error.code == "DEADLINE_EXCEEDED":
            raise ModelRefused(f"the model does not answer in time: {error.detail}") from error
        if error.may_pass:
            raise ServiceUnavailable("the trial server", str(error)) from error
        raise ModelRefused(f"the model server refuses this model: {error.detail}") from error


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise ServiceUnavailable("the trial server", f"no {count} ports of 127.0.0.1 are free")
