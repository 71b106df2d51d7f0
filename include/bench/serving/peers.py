"""MLServer beside faceserve: same model, same engine, same client, both updated under load."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import grpc
from tritonclient.grpc import service_pb2 as oip
from tritonclient.grpc import service_pb2_grpc as oip_grpc

from faceserve.engines.base import available_cores, precisions
from include.bench.artifacts import Folder, artifact
from include.bench.environments import environment
from include.bench.measurement import Figures, Found, Say
from include.bench.serving.load import Load, p99, pace, settle
from include.bench.serving.replicas import MODEL, Artifact, await_answer, deploy, object_store, replicas, upload
from include.stack.ports import free_ports

_MLSERVER = "1.7.1"
_NETWORKS = ("small", "EfficientNetLite0")
_PROTOCOL = "open-inference"
_SECONDS, _SHARE = 10.0, 0.6
_UPDATES, _STEADY_SECONDS, _UPDATE_SECONDS = 10, 2.0, 2.5


@dataclass(frozen=True)
class Server:
    """A running server; after `update(number)` it serves the model of that number."""

    name: str
    address: str
    update: Callable[[int], None]


class _NotReady(Exception):
    """MLServer answers, but has not loaded the model yet."""


def peers(say: Say) -> Found:
    # Its workers do not start with a newer uvloop.
    packages = (f"mlserver=={_MLSERVER}", "uvloop<0.22", f"openvino=={version('openvino')}")
    python = environment(f"mlserver-{_MLSERVER}", *packages)
    figures: Figures = {}
    for network in _NETWORKS:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            figures |= _both(network, python, Path(folder), say)
    return Found(
        figures,
        f"MLServer {_MLSERVER} and faceserve with the same OpenVINO model, client and protocol; {_UPDATES} updates "
        f"under load at {_SHARE:.0%} of each one's own capacity.",
    )


def _both(network: str, python: Path, folder: Path, say: Say) -> Figures:
    shas = [artifact(network, Folder(folder / str(seed)), "s3://bench/", seed=seed) for seed in range(2)]
    workers = _better_workers(python, folder, say)
    figures: Figures = {}
    for starting in (_faceserve(folder, shas, say), _mlserver(python, folder, workers)):
        with starting as server:
            found = _measured(server)
        say(f"{server.name}, {network}: {found['requests_per_second']:.0f}/s, p99 {found['p99_ms']:.1f} ms")
        figures |= {f"peer_{server.name}_{network.lower()}_{key}": value for key, value in found.items()}
    return figures


def _better_workers(python: Path, folder: Path, say: Say) -> int:
    """Workers with which MLServer is faster: none saves copying images to them, one a core uses every core."""
    found = {}
    for workers in (0, available_cores()):
        with _mlserver(python, folder, workers) as server:
            found[workers] = pace([server.address], seconds=_SECONDS / 2, protocol=_PROTOCOL).requests_per_second
    say(f"MLServer, requests/s by worker processes: {found}")
    return max(found, key=lambda workers: found[workers])


def _measured(server: Server) -> Figures:
    most = pace([server.address], seconds=_SECONDS, protocol=_PROTOCOL)
    rate = most.requests_per_second * _SHARE
    seconds = _UPDATES * (_STEADY_SECONDS + _UPDATE_SECONDS) + 2
    load = Load([server.address], rate=rate, seconds=seconds, protocol=_PROTOCOL)
    time.sleep(1)
    steady, updating = [], []
    for number in range(_UPDATES):
        steady.append(settle(_STEADY_SECONDS))
        began = time.monotonic()
        server.update(number + 1)
        updating.append((began, time.monotonic() + 0.3))
        time.sleep(max(0.0, began + _UPDATE_SECONDS - time.monotonic()))
    requests = load.requests()
    return {
        "requests_per_second": most.requests_per_second,
        "p50_ms": most.p50_ms,
        "p99_ms": most.p99_ms,
        "p99_ratio_during_update": p99(requests, updating) / p99(requests, steady),
        "requests": len(requests),
        "requests_failed": sum(request.code != "OK" for request in requests),
    }


@contextmanager
def _faceserve(folder: Path, shas: list[str], say: Say) -> Iterator[Server]:
    with object_store(say) as store:
        pair = [Artifact("v1.0.0", f"s3://models/{number}/", sha256) for number, sha256 in enumerate(shas)]
        for number, one in enumerate(pair):
            upload(folder / str(number), store, one.uri)
        with replicas(store, 1) as (replica,), replica.lifecycle() as client:
            deploy([client], pair[0])

            def update(number: int) -> None:
                deploy([client], replace(pair[number % 2], version=f"v2.{number}.0"))

            yield Server("faceserve", replica.address, update)


@contextmanager
def _mlserver(python: Path, folder: Path, workers: int) -> Iterator[Server]:
    """Updated as its documentation says, by loading the changed settings; `workers` 0 serves in its main process."""
    repository, log = folder / "mlserver", folder / "mlserver.log"
    address = _configure(repository, workers)
    _name_model(repository, folder / "0", workers)
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [str(python.parent / "mlserver"), "start", str(repository)]
    with log.open("w") as out:
        process = subprocess.Popen(command, env=variables, cwd=folder, stdout=out, stderr=out)
    try:
        with grpc.insecure_channel(address) as channel:
            stub = oip_grpc.GRPCInferenceServiceStub(channel)
            await_answer(functools.partial(_demand_ready, stub), process, log, (grpc.RpcError, _NotReady))

            def update(number: int) -> None:
                _name_model(repository, folder / str(number % 2), workers)
                stub.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name=MODEL), timeout=60)

            yield Server("mlserver", address, update)
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(repository)


def _configure(repository: Path, workers: int) -> str:
    """Write the server's settings, on free ports; returns the address for requests."""
    http, grpc_port, metrics = free_ports(3)
    ports = {"http_port": http, "grpc_port": grpc_port, "metrics_port": metrics}
    (repository / MODEL).mkdir(parents=True)
    (repository / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": workers, **ports}))
    return f"127.0.0.1:{grpc_port}"


def _name_model(repository: Path, artifact: Path, workers: int) -> None:
    extra = {"precision": precisions("openvino", "auto")[0], "threads": 1 if workers else available_cores()}
    parameters = {"uri": str(artifact / "openvino"), "version": "v1", "extra": extra}
    settings = {"name": MODEL, "implementation": "peer_runtime.OpenVinoModel", "parameters": parameters}
    (repository / MODEL / "model-settings.json").write_text(json.dumps(settings))


def _demand_ready(stub: oip_grpc.GRPCInferenceServiceStub) -> None:
    if not stub.ModelReady(oip.ModelReadyRequest(name=MODEL), timeout=2).ready:
        raise _NotReady(f"{MODEL} is not loaded")
