"""What a replica's memory does over many swaps, and how long it takes to be ready."""

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from include.bench.artifacts import artifact
from include.bench.measurement import Figures, Found, Say
from include.bench.serving.load import Load
from include.bench.serving.replicas import MODEL, Artifact, Replica, deploy, object_store, replicas
from include.contract.lifecycle_client import LifecycleClient
from include.stack.layout import Stack
from pipeline.adapters.s3 import S3ObjectStore

_NETWORK = "EfficientNetLite0"
_SWAPS, _MANY_SWAPS, _COMPARED, _SAID_EVERY = 100, 1_000, 10, 20
# The version that was replaced is freed up to 0.6 s after the exchange, once its last request is over.
_FREED_AFTER_SECONDS, _STILL_SECONDS, _FREED_WITHIN_SECONDS = 1.0, 0.5, 10.0
_STILL_MB = 0.5
_A_SWAP_SECONDS = 1.5
_REQUESTS_PER_SECOND = 10.0
_EXTRA_MODELS = 4
_STARTS = 3
_MB = 2**20


@dataclass(frozen=True)
class Swapped:
    """Resident memory in MB after early and after late swaps, each once what was replaced is freed; `peaks` of the
    server, and of the server with its children.
    """

    early: Sequence[float]
    late: Sequence[float]
    peaks: Sequence[tuple[float, float]]
    failed: int

    @property
    def drift_percent(self) -> float:
        return (statistics.median(self.late) / statistics.median(self.early) - 1) * 100


def memory(say: Say) -> Found:
    """Every swap is to a version never seen before, under light load."""
    with object_store(say) as store, replicas(store, 1) as (replica,), replica.lifecycle() as client:
        pair = [_model(store, seed) for seed in range(2)]
        empty = _resident_mb(replica)
        found = swapped(replica, client, pair, _SWAPS, say=say)
        per_model = _per_model(replica, client, pair[0])
    figures = _drift(found, _SWAPS) | {
        "memory_mb_before_any_model": round(empty),
        "memory_mb_two_versions_loaded": round(statistics.median(found.late)),
        "memory_mb_per_model": per_model,
        "memory_mb_server_peak_in_swaps": round(max(server for server, _ in found.peaks)),
        "memory_mb_server_and_vetting_peak_in_swaps": round(max(both for _, both in found.peaks)),
    }
    return Found(figures, _how(_SWAPS))


def memory_of_many(say: Say) -> Found:
    """The same, ten times as long."""
    with object_store(say) as store, replicas(store, 1) as (replica,), replica.lifecycle() as client:
        found = swapped(replica, client, [_model(store, seed) for seed in range(2)], _MANY_SWAPS, say=say)
    return Found(_drift(found, _MANY_SWAPS), _how(_MANY_SWAPS))


def _drift(found: Swapped, swaps: int) -> Figures:
    return {
        f"memory_drift_percent_{swaps}_swaps": found.drift_percent,
        f"memory_requests_failed_{swaps}_swaps": found.failed,
    }


def _how(swaps: int) -> str:
    return (
        f"{_NETWORK}, {swaps} swaps under {_REQUESTS_PER_SECOND:.0f} requests/s. Drift: median resident memory after "
        f"the last {_COMPARED} swaps over that after swaps {_COMPARED + 1} to {2 * _COMPARED}, each read when the "
        "replaced version was freed and memory had become still."
    )


def cold_start(say: Say) -> Found:
    """From the start of the process to its first answer, without and with a model to restore."""
    with object_store(say) as store:
        model = _model(store, 0)
        starts = [_empty_and_restored(store, model) for _ in range(_STARTS)]
    empty, restored = (statistics.median(times) for times in zip(*starts, strict=True))
    figures = {
        "cold_start_seconds_without_model": empty,
        "cold_start_seconds_with_model": restored,
    }
    return Found(figures, f"{_NETWORK}; from the start of the process to its first answer, median of {_STARTS} starts.")


def _model(store: Stack, seed: int) -> Artifact:
    uri = f"s3://models/{seed}/"
    return Artifact("v1.0.0", uri, artifact(_NETWORK, S3ObjectStore(endpoint=store.s3_endpoint), uri, seed=seed))


def _empty_and_restored(store: Stack, model: Artifact) -> tuple[float, float]:
    """Seconds until a replica without a state answers, and until one that has served a model does."""
    with tempfile.TemporaryDirectory(prefix="bench-state-") as state:
        with replicas(store, 1, state=Path(state)) as (replica,), replica.lifecycle() as client:
            empty = replica.ready_seconds
            deploy([client], model)
        with replicas(store, 1, state=Path(state)) as (replica,), replica.lifecycle() as client:
            assert client.status(MODEL).version == model.version
            return empty, replica.ready_seconds


def swapped(
    replica: Replica,
    client: LifecycleClient,
    pair: Sequence[Artifact],
    swaps: int,
    *,
    say: Say,
    compared: int = _COMPARED,
) -> Swapped:
    """The second `compared` swaps are early, the last ones late; the first warm up."""
    deploy([client], pair[0])
    seconds = swaps * _A_SWAP_SECONDS + 2 * compared * (_FREED_AFTER_SECONDS + 2 * _STILL_SECONDS)
    load = Load([replica.address], rate=_REQUESTS_PER_SECOND, seconds=seconds)
    early, late = range(compared, 2 * compared), range(swaps - compared, swaps)
    freed: dict[int, float] = {}
    with _peak(replica) as peaks:
        for number in range(swaps):
            deploy([client], replace(pair[number % 2], version=f"v2.{number}.0"))
            if number in early or number in late:
                freed[number] = _freed_mb(replica)
            if (number + 1) % _SAID_EVERY == 0:
                say(f"{number + 1} of {swaps} swaps, {_resident_mb(replica):.0f} MB")
    failed = sum(request.code != "OK" for request in load.requests())
    return Swapped([freed[number] for number in early], [freed[number] for number in late], peaks, failed)


def _freed_mb(replica: Replica) -> float:
    """Resident memory when it has become still, some time after an exchange; MB."""
    time.sleep(_FREED_AFTER_SECONDS)
    until = time.monotonic() + _FREED_WITHIN_SECONDS
    before, now = float("inf"), _resident_mb(replica)
    while abs(now - before) > _STILL_MB and time.monotonic() < until:
        time.sleep(_STILL_SECONDS)
        before, now = now, _resident_mb(replica)
    return now


def _per_model(replica: Replica, client: LifecycleClient, model: Artifact) -> float:
    before = _freed_mb(replica)
    for number in range(_EXTRA_MODELS):
        client.prepare(MODEL, f"v3.{number}.0", model.uri, model.manifest_sha256, timeout_seconds=60)
    return (_resident_mb(replica) - before) / _EXTRA_MODELS


@contextmanager
def _peak(replica: Replica) -> Iterator[list[tuple[float, float]]]:
    """Samples in MB: the server's memory, and that of the server with its children."""
    found: list[tuple[float, float]] = []
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.02):
            server = _resident_mb(replica)
            found.append((server, server + _children_mb(replica)))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def _resident_mb(replica: Replica) -> float:
    return float(psutil.Process(replica.pid).memory_info().rss) / _MB


def _children_mb(replica: Replica) -> float:
    """MB that only the children use; pages they share with the server are counted there."""
    total = 0.0
    for child in psutil.Process(replica.pid).children(recursive=True):
        try:
            total += child.memory_full_info().uss / _MB
        except psutil.NoSuchProcess:
            continue
    return total
