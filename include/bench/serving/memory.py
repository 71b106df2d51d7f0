"""What a replica's memory does over many swaps, and how long it takes to be ready."""

import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from include.bench.artifacts import artifact
from include.bench.measurement import Say
from include.bench.serving.load import Load
from include.bench.serving.replicas import MODEL, Artifact, Replica, deploy, object_store, replicas
from include.contract.lifecycle_client import LifecycleClient
from pipeline.adapters.s3 import S3ObjectStore

_NETWORK = "EfficientNetLite0"
_SWAPS, _COMPARED = 100, 10
_REQUESTS_PER_SECOND = 10.0
_EXTRA_MODELS = 4
_STARTS = 3
_MB = 2**20


def memory(say: Say) -> dict[str, float]:
    """Every swap is to a version never seen before, under light load."""
    with object_store() as store, replicas(store, 1) as (replica,), replica.lifecycle() as client:
        objects = S3ObjectStore(endpoint=store.s3_endpoint)
        pair = [
            Artifact("v1.0.0", f"s3://models/{seed}/", artifact(_NETWORK, objects, f"s3://models/{seed}/", seed=seed))
            for seed in range(2)
        ]
        empty = _resident_mb(replica)
        deploy([client], pair[0])
        load = Load([replica.address], rate=_REQUESTS_PER_SECOND, seconds=_SWAPS * 1.5)
        settled = []
        with _peak(replica) as peaks:
            for number in range(_SWAPS):
                deploy([client], replace(pair[number % 2], version=f"v2.{number}.0"))
                settled.append(_resident_mb(replica))
                if number % 20 == 19:  # noqa: PLR2004
                    say(f"{number + 1} of {_SWAPS} swaps, {settled[-1]:.0f} MB")
        failed = sum(request.code != "OK" for request in load.requests())
        per_model = _per_model(replica, client, pair[0])
    first, last = statistics.median(settled[_COMPARED : 2 * _COMPARED]), statistics.median(settled[-_COMPARED:])
    return {
        "memory_drift_percent_100_swaps": round((last / first - 1) * 100, 2),
        "memory_mb_before_any_model": round(empty),
        "memory_mb_two_versions_loaded": round(last),
        "memory_mb_per_model": round(per_model, 1),
        "memory_mb_server_peak_in_swaps": round(max(server for server, _ in peaks)),
        "memory_mb_server_and_vetting_peak_in_swaps": round(max(both for _, both in peaks)),
        "memory_requests_failed": failed,
    }


def cold_start(say: Say) -> dict[str, float]:
    """From the start of the process to its first answer, without and with a model to restore."""
    empty, with_model = [], []
    with object_store() as store:
        uri = "s3://models/0/"
        model = Artifact("v1.0.0", uri, artifact(_NETWORK, S3ObjectStore(endpoint=store.s3_endpoint), uri))
        for _ in range(_STARTS):
            with tempfile.TemporaryDirectory(prefix="bench-state-") as state:
                with replicas(store, 1, state=Path(state)) as (replica,), replica.lifecycle() as client:
                    empty.append(replica.ready_seconds)
                    deploy([client], model)
                with replicas(store, 1, state=Path(state)) as (replica,), replica.lifecycle() as client:
                    assert client.status(MODEL).version == model.version
                    with_model.append(replica.ready_seconds)
    say(f"median of {_STARTS} starts")
    return {
        "cold_start_seconds_without_model": round(statistics.median(empty), 2),
        "cold_start_seconds_with_model": round(statistics.median(with_model), 2),
    }


def _per_model(replica: Replica, client: LifecycleClient, model: Artifact) -> float:
    before = _resident_mb(replica)
    for number in range(_EXTRA_MODELS):
        client.prepare(MODEL, f"v3.{number}.0", model.uri, model.manifest_sha256, timeout_seconds=60)
    return (_resident_mb(replica) - before) / _EXTRA_MODELS


@contextmanager
def _peak(replica: Replica) -> Iterator[list[tuple[float, float]]]:
    """Samples of the server's memory, and of it and its children together; MB."""
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
    """What the children have for themselves: pages they share with the process they were forked from count once."""
    total = 0.0
    for child in psutil.Process(replica.pid).children(recursive=True):
        try:
            total += child.memory_full_info().uss / _MB
        except psutil.NoSuchProcess:
            continue
    return total
