"""ResNet50 through gRPC: each engine and precision behind the same servicer, beside a plain TensorFlow SavedModel."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from faceserve.engines.base import InferenceEngine, available_cores, factory, precisions
from include.bench.artifacts import Folder, artifact
from include.bench.measurement import Say
from include.bench.serving.load import Pace, pace
from include.bench.serving.replicas import Artifact, Replica, deploy, object_store, replicas, upload
from include.stack.layout import Stack

_NETWORK = "ResNet50"
_SECONDS, _IN_FLIGHT, _ROUNDS = 15.0, 4, 3
_PLAIN = ("tensorflow", "f32")
_EXPORTED = ("int8", "onnx")
_BATCHED_NETWORKS, _BATCHES, _CROWD = ("EfficientNetLite0", "ResNet50"), (1, 8), 16


@dataclass(frozen=True)
class Measured:
    """`images` with decoded images, `photos` with JPEGs that the server decodes."""

    images: Pace
    photos: Pace
    resident_mb: float


def throughput(say: Say) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, object_store() as store:
        say(f"{_NETWORK}: exporting in every format")
        sha256 = artifact(_NETWORK, Folder(Path(folder)), "s3://bench/", formats=_EXPORTED)
        model = Artifact("v1.0.0", "s3://models/bench/", sha256)
        upload(Path(folder), store, model.uri)
        found = {}
        for way in _ways():
            with _replica(store, model, *way) as replica:
                images = _pace(replica, "open-inference", _SECONDS)
                photos = _pace(replica, "photos", _SECONDS)
                found[way] = Measured(images, photos, psutil.Process(replica.pid).memory_info().rss / 2**20)
            say(
                f"{' '.join(way)}: {images.requests_per_second:.1f} images/s, {photos.requests_per_second:.1f} photos/s"
            )
        efficiency = _efficiency(store, model, Path(folder), say)
    return _figures(found) | {"grpc_efficiency_vs_engine": round(efficiency, 3)}


def batching(say: Say) -> dict[str, float]:
    """The same crowd of requests with and without batching (ADR 0013)."""
    figures = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, object_store() as store:
        for network in _BATCHED_NETWORKS:
            sha256 = artifact(network, Folder(Path(folder, network)), "s3://bench/")
            model = Artifact("v1.0.0", f"s3://models/{network}/", sha256)
            upload(Path(folder, network), store, model.uri)
            for size in _BATCHES:
                with (
                    replicas(store, 1, settings={"batch_images": size}) as (replica,),
                    replica.lifecycle() as client,
                ):
                    deploy([client], model)
                    found = pace([replica.address], seconds=_SECONDS / 2, in_flight=_CROWD, protocol="open-inference")
                say(f"{network}, batches of up to {size}: {found.requests_per_second:.0f}/s, p99 {found.p99_ms:.0f} ms")
                name = f"batching_{network.lower()}_{size}"
                figures[f"{name}_images_per_second"] = round(found.requests_per_second, 1)
                figures[f"{name}_p99_ms"] = round(found.p99_ms, 1)
    return figures


def _ways() -> list[tuple[str, str]]:
    ways = [_PLAIN, ("onnxruntime", "f32"), ("openvino", "f32"), ("openvino", "int8")]
    return [*ways, ("openvino", "bf16")] if _fastest_float() == "bf16" else ways


def _fastest_float() -> str:
    return precisions("openvino", "auto")[0]


@contextmanager
def _replica(store: Stack, model: Artifact, engine: str, precision: str) -> Iterator[Replica]:
    settings = {"engine": engine, "precision": precision, "vet_seconds": 120}
    with replicas(store, 1, settings=settings) as (replica,), replica.lifecycle() as client:
        deploy([client], model)
        yield replica


def _efficiency(store: Stack, model: Artifact, folder: Path, say: Say) -> float:
    """Requests a second with decoded images through gRPC, to images a second of the engine alone; in turn."""
    precision = _fastest_float()
    served, alone = [], []
    engine = factory("openvino", available_cores())(folder / "openvino" / "model.xml", precision)
    with _replica(store, model, "openvino", precision) as replica:
        for _ in range(_ROUNDS):
            served.append(_pace(replica, "open-inference", _SECONDS / 2).requests_per_second)
            alone.append(_images_per_second(engine, _SECONDS / 2))
            say(f"openvino {precision}: {served[-1]:.1f} requests/s, without a server {alone[-1]:.1f} images/s")
    return statistics.median(served) / statistics.median(alone)


def _pace(replica: Replica, protocol: str, seconds: float) -> Pace:
    return pace([replica.address], seconds=seconds, in_flight=_IN_FLIGHT, protocol=protocol)


def _images_per_second(engine: InferenceEngine, at_least_seconds: float) -> float:
    """One image a call, as many callers as cores: the most a server could reach."""
    image = np.random.default_rng(1).integers(0, 256, (1, 224, 224, 3), np.uint8)
    cores = available_cores()

    def ask(until: float) -> int:
        calls = 0
        while time.monotonic() < until:
            engine.infer(image)
            calls += 1
        return calls

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(ask, [time.monotonic() + 1] * cores))
        began = time.monotonic()
        return sum(pool.map(ask, [began + at_least_seconds] * cores)) / (time.monotonic() - began)


def _figures(found: dict[tuple[str, str], Measured]) -> dict[str, float]:
    plain = found[_PLAIN].images.requests_per_second
    figures = {}
    for (engine, precision), measured in found.items():
        name = f"resnet50_{engine}_{precision}"
        figures[f"{name}_images_per_second"] = round(measured.images.requests_per_second, 2)
        figures[f"{name}_photos_per_second"] = round(measured.photos.requests_per_second, 2)
        figures[f"{name}_mean_ms"] = round(measured.photos.mean_ms, 1)
        figures[f"{name}_p99_ms"] = round(measured.photos.p99_ms, 1)
        figures[f"{name}_resident_mb"] = round(measured.resident_mb)
        if engine == "openvino":
            ratio = measured.images.requests_per_second / plain
            figures[f"throughput_ratio_{precision}_vs_tensorflow"] = round(ratio, 3)
    return figures
