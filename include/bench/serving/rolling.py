"""Three replicas restarted one by one under load, as Kubernetes rolls its StatefulSet, behind `round_robin` clients."""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from faceserve.load_test import Request
from include.bench.artifacts import artifact
from include.bench.measurement import Figures, Found, Say
from include.bench.serving.load import Load, p99, pace, settle
from include.bench.serving.replicas import (
    MODEL,
    TOKEN,
    Artifact,
    await_replica,
    begin,
    deploy,
    object_store,
)
from include.contract.lifecycle_client import LifecycleClient
from include.stack.layout import REPOSITORY, Stack
from include.stack.ports import free_ports
from pipeline.adapters.s3 import S3ObjectStore

_MANIFEST = REPOSITORY / "include/k8s/base/faceserve.yaml"
_REPLICAS = 3
_REQUESTS = 100_000
_CAPACITY_SECONDS, _STEADY_SECONDS = 6.0, 8.0
# One of three is away at a time, and all of them share these cores with the clients.
_SHARE = 0.35
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Manners:
    """How the manifests have a replica leave and come back, in seconds; `grace` is counted from the beginning of
    `pre_stop`.
    """

    pre_stop: float
    grace: float
    probe_every: float
    min_ready: float

    @classmethod
    def of_manifests(cls, text: str) -> "Manners":
        (found,) = [one for one in yaml.safe_load_all(text) if one["kind"] == "StatefulSet"]
        pod: dict[str, Any] = found["spec"]["template"]["spec"]
        server = pod["containers"][0]
        return cls(
            server["lifecycle"]["preStop"]["sleep"]["seconds"],
            pod["terminationGracePeriodSeconds"],
            server["readinessProbe"]["periodSeconds"],
            found["spec"]["minReadySeconds"],
        )


class Pod:
    """A replica with an address and a folder that stay when its process ends."""

    def __init__(self, store: Stack, state: Path) -> None:
        self._store, self._state = store, state
        self._ports = free_ports(2)
        self.address, self.lifecycle_address = (f"127.0.0.1:{port}" for port in self._ports)
        self._process = self._begun()

    def _begun(self) -> "subprocess.Popen[bytes]":
        port, lifecycle_port = self._ports
        return begin(self._store, self._state, {"grpc_port": port, "lifecycle_port": lifecycle_port})

    def lifecycle(self) -> LifecycleClient:
        return LifecycleClient(self.lifecycle_address, token=TOKEN, timeout_seconds=120)

    def await_answer(self) -> None:
        await_replica(self.lifecycle_address, self._process, self._state)

    def end(self, within_seconds: float) -> None:
        """SIGTERM; `subprocess.TimeoutExpired` where Kubernetes would kill it."""
        self._process.terminate()
        self._process.wait(within_seconds)

    def restart(self, manners: Manners) -> float:
        """Leaves and comes back as a pod whose image changed; seconds between its end and being ready."""
        # Kubernetes takes it from the names meanwhile; clients that go on asking are answered.
        time.sleep(manners.pre_stop)
        self.end(manners.grace - manners.pre_stop)
        ended = time.monotonic()
        self._process = self._begun()
        deadline = ended + _PATIENCE_SECONDS
        while not self._ready():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.address} did not become ready; its log: {self._state}/log")
            time.sleep(manners.probe_every)
        away = time.monotonic() - ended
        time.sleep(manners.min_ready)
        return away

    def _ready(self) -> bool:
        """What the readiness probe asks."""
        with grpc.insecure_channel(self.address) as channel:
            try:
                asked = health_pb2.HealthCheckRequest(service=MODEL)
                found = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=3)
            except grpc.RpcError:
                return False
        return bool(found.status == health_pb2.HealthCheckResponse.SERVING)


@dataclass
class Seen:
    """Seconds that each restart took a replica away, the version each came back with, and when that was."""

    away: list[float] = field(default_factory=list)
    versions: list[str | None] = field(default_factory=list)
    windows: list[tuple[float, float]] = field(default_factory=list)


def rolling(say: Say) -> Found:
    """As many rolls as so many requests take."""
    return _rolled(_REQUESTS, say)


def rolling_once(say: Say) -> Found:
    """Each replica restarts once."""
    return _rolled(0, say)


def _rolled(requests: int, say: Say) -> Found:
    manners = Manners.of_manifests(_MANIFEST.read_text())
    with object_store(say) as store, _fleet(store) as pods:
        active = _deployed(store, pods)
        addresses = [pod.address for pod in pods]
        rate = _SHARE * pace(addresses, seconds=_CAPACITY_SECONDS).requests_per_second
        a_roll = _REPLICAS * (manners.pre_stop + manners.min_ready + 3 * manners.probe_every)
        load_seconds = max(requests / rate, a_roll + 2 * _STEADY_SECONDS)
        say(f"{rate:.0f} requests/s for {load_seconds:.0f} s")
        load = Load(addresses, rate=rate, seconds=load_seconds, more=["--round-robin"])
        steady = settle(_STEADY_SECONDS)
        seen = _roll(pods, manners, until=steady[1] + load_seconds - a_roll - _STEADY_SECONDS, say=say)
        return _found(load.requests(), seen, active, steady)


def _roll(pods: Sequence[Pod], manners: Manners, *, until: float, say: Say) -> Seen:
    """One roll, and more as long as another one fits in."""
    seen = Seen()
    while not seen.away or time.monotonic() < until:
        # The highest number first, as a StatefulSet does it.
        for pod in reversed(pods):
            began = time.monotonic()
            seen.away.append(pod.restart(manners))
            seen.windows.append((began, time.monotonic()))
            with pod.lifecycle() as client:
                seen.versions.append(client.status(MODEL).version)
            say(f"{pod.address} was away for {seen.away[-1]:.1f} s and serves {seen.versions[-1]}")
    return seen


def _found(requests: Sequence[Request], seen: Seen, active: str, steady: tuple[float, float]) -> Found:
    figures: Figures = {
        "requests_total": len(requests),
        "requests_failed": sum(one.code != "OK" for one in requests),
        "requests_of_another_version": sum(one.code == "OK" and one.version != active for one in requests),
        "restarts": len(seen.away),
        "restarts_back_with_the_active_version": sum(version == active for version in seen.versions),
        "seconds_away_max": max(seen.away),
        "p99_ms_steady": p99(requests, [steady]),
        "p99_ms_rolling": p99(requests, seen.windows),
    }
    return Found(
        figures,
        f"{_REPLICAS} replicas and their clients on the same cores, open load at {_SHARE:.0%} of capacity; preStop, "
        "grace, probe and minReadySeconds of include/k8s/base/faceserve.yaml, the highest number first. Clients: "
        "gRPC's round_robin with client-side health checks, UNAVAILABLE is asked again. The names that Kubernetes "
        "would take a leaving pod from stay as they are.",
    )


@contextmanager
def _fleet(store: Stack) -> Iterator[list[Pod]]:
    with tempfile.TemporaryDirectory(prefix="bench-rolling-") as name, ExitStack() as ending:
        pods = []
        for number in range(_REPLICAS):
            pod = Pod(store, Path(name, str(number)))
            ending.callback(pod.end, 30)
            pods.append(pod)
        for pod in pods:
            pod.await_answer()
        yield pods


def _deployed(store: Stack, pods: Sequence[Pod]) -> str:
    """Two versions, the second of which is active: its name."""
    objects = S3ObjectStore(endpoint=store.s3_endpoint)
    with ExitStack() as stack:
        clients = [stack.enter_context(pod.lifecycle()) for pod in pods]
        for number in range(2):
            uri = f"s3://models/bench-{number}/"
            made = Artifact(f"v2.{number}.0", uri, artifact("small", objects, uri, seed=number))
            deploy(clients, made)
    return made.version
