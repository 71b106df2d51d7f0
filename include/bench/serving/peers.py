"""MLServer beside faceserve: same model, same engine, same client, both updated under load."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import grpc
from tritonclient.grpc import service_pb2 as oip
from tritonclient.grpc import service_pb2_grpc as oip_grpc

from faceserve.engines.base import available_cores, precisions
from include.bench.artifacts import Folder, artifact
from include.bench.environments import environment
from include.bench.measurement import Say
from include.bench.serving.load import Load, p99, pace, settle
from include.bench.serving.replicas import MODEL, Artifact, deploy, free_ports, object_store, replicas, upload

_MLSERVER = "1.7.1"
_NETWORKS = ("small", "EfficientNetLite0")
_PROTOCOL = "open-inference"
_SECONDS, _SHARE = 10.0, 0.6
_UPDATES, _STEADY_SECONDS, _UPDATE_SECONDS = 10, 2.0, 2.5
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """`update` serves the model of that number from then on."""

    name: str
    address: str
    update: Callable[[int], None]


def peers(say: Say) -> dict[str, float]:
    # Its workers do not start with a newer uvloop.
    packages = (f"mlserver=={_MLSERVER}", "uvloop<0.22", f"openvino=={version('openvino')}")
    python = environment(f"mlserver-{_MLSERVER}", *packages)
    figures: dict[str, float] = {}
    for network in _NETWORKS:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            shas = [artifact(network, Folder(Path(folder, str(seed))), "s3://bench/", seed=seed) for seed in range(2)]
            workers = _better_workers(python, Path(folder), say)
            for starting in (_faceserve(Path(folder), shas), _mlserver(python, Path(folder), workers)):
                with starting as server:
                    found = _measured(server)
                    say(f"{server.name}, {network}: {found}")
                    figures |= {f"peer_{server.name}_{network.lower()}_{key}": value for key, value in found.items()}
    return figures


def _better_workers(python: Path, folder: Path, say: Say) -> int:
    """Without worker processes images need not be copied to them; with one a core, cores share the load."""
    found = {}
    for workers in (0, available_cores()):
        with _mlserver(python, folder, workers) as server:
            found[workers] = pace([server.address], seconds=_SECONDS / 2, protocol=_PROTOCOL).requests_per_second
    say(f"MLServer, requests/s by worker processes: {found}")
    return max(found, key=lambda workers: found[workers])


def _measured(server: Server) -> dict[str, float]:
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
    usual = p99(requests, steady)
    return {
        "requests_per_second": round(most.requests_per_second, 1),
        "p50_ms": round(most.p50_ms, 2),
        "p99_ms": round(most.p99_ms, 2),
        "p99_ratio_during_update": round(p99(requests, updating) / usual, 3),
        "requests": len(requests),
        "requests_failed": sum(request.code != "OK" for request in requests),
    }


@contextmanager
def _faceserve(folder: Path, shas: list[str]) -> Iterator[Server]:
    with object_store() as store:
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
    ports = free_ports(3)
    names = ("http_port", "grpc_port", "metrics_port")
    settings = {"host": "127.0.0.1", "parallel_workers": workers, **dict(zip(names, ports, strict=True))}
    repository = folder / "mlserver"
    model = repository / MODEL
    model.mkdir(parents=True)
    (repository / "settings.json").write_text(json.dumps(settings))
    _name_model(model, folder / "0", workers)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with (folder / "mlserver.log").open("w") as log:
        process = subprocess.Popen(
            [python.parent / "mlserver", "start", repository], env=environment, cwd=folder, stdout=log, stderr=log
        )
    address = f"127.0.0.1:{ports[1]}"
    try:
        with grpc.insecure_channel(address) as channel:
            stub = oip_grpc.GRPCInferenceServiceStub(channel)
            _await_ready(stub, process, folder / "mlserver.log")

            def update(number: int) -> None:
                _name_model(model, folder / str(number % 2), workers)
                stub.RepositoryModelLoad(oip.RepositoryModelLoadRequest(model_name=MODEL), timeout=60)

            yield Server("mlserver", address, update)
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(repository)


def _name_model(model: Path, artifact: Path, workers: int) -> None:
    extra = {"precision": precisions("openvino", "auto")[0], "threads": 1 if workers else available_cores()}
    (model / "model-settings.json").write_text(
        json.dumps(
            {
                "name": MODEL,
                "implementation": "peer_runtime.OpenVinoModel",
                "parameters": {"uri": str(artifact / "openvino"), "version": "v1", "extra": extra},
            }
        )
    )


def _await_ready(stub: oip_grpc.GRPCInferenceServiceStub, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(grpc.RpcError):
            if stub.ModelReady(oip.ModelReadyRequest(name=MODEL), timeout=2).ready:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"MLServer does not start: {log.read_text()[-1500:]}")
        time.sleep(0.1)
