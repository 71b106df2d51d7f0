"""ResNet50 through gRPC: each engine and precision behind the same servicer, beside a plain TensorFlow SavedModel."""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from faceserve.engines.base import available_cores, factory, precisions
from include.bench.artifacts import Folder, artifact
from include.bench.measurement import Figures, Found, Say, calls_per_second
from include.bench.serving.load import Pace, pace
from include.bench.serving.replicas import Artifact, Replica, deploy, object_store, replicas, upload
from include.stack.layout import Stack

_NETWORK = "ResNet50"
_SECONDS, _IN_FLIGHT, _ROUNDS = 15.0, 4, 3
_PLAIN = ("tensorflow", "f32")
_EXPORTED = ("int8", "onnx")


@dataclass(frozen=True)
class Measured:
    """Pace with decoded images, and with `photos`: JPEGs that the server decodes."""

    images: Pace
    photos: Pace
    resident_mb: float


def throughput(say: Say) -> Found:
    with tempfile.TemporaryDirectory(prefix="bench-") as name, object_store(say) as store:
        say(f"{_NETWORK}: exporting in every format")
        folder = Path(name)
        sha256 = artifact(_NETWORK, Folder(folder), "s3://bench/", formats=_EXPORTED)
        model = Artifact("v1.0.0", "s3://models/bench/", sha256)
        upload(folder, store, model.uri)
        found = {way: _measured(store, model, *way, say) for way in _ways()}
        efficiency = _efficiency(store, model, folder, say)
    return Found(
        _figures(found) | {"grpc_efficiency_vs_engine": efficiency},
        f"{_NETWORK}, one image a request, {_IN_FLIGHT} in flight: decoded images, and JPEGs that the server decodes. "
        "Plain: the SavedModel by TensorFlow in the same server. Efficiency: requests a second over images a second "
        "of the engine alone.",
    )


def _measured(store: Stack, model: Artifact, engine: str, precision: str, say: Say) -> Measured:
    with _replica(store, model, engine, precision) as replica:
        images = _pace(replica, "open-inference", _SECONDS)
        photos = _pace(replica, "photos", _SECONDS)
        resident_mb = psutil.Process(replica.pid).memory_info().rss / 2**20
    rates = f"{images.requests_per_second:.1f} images/s, {photos.requests_per_second:.1f} photos/s"
    say(f"{engine} {precision}: {rates}")
    return Measured(images, photos, resident_mb)


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
    """Requests a second through gRPC divided by images a second of the engine alone, measured in turn."""
    precision, image = _fastest_float(), np.random.default_rng(1).integers(0, 256, (1, 224, 224, 3), np.uint8)
    cores = available_cores()
    engine = factory("openvino", cores)(folder / "openvino" / "model.xml", precision)
    served, alone = [], []
    with _replica(store, model, "openvino", precision) as replica:
        for _ in range(_ROUNDS):
            served.append(_pace(replica, "open-inference", _SECONDS / 2).requests_per_second)
            # As many callers as cores: the most a server could reach.
            most = calls_per_second(lambda: engine.infer(image), callers=cores, at_least_seconds=_SECONDS / 2)
            alone.append(most)
            say(f"openvino {precision}: {served[-1]:.1f} requests/s, without a server {most:.1f} images/s")
    return statistics.median(served) / statistics.median(alone)


def _pace(replica: Replica, protocol: str, seconds: float) -> Pace:
    return pace([replica.address], seconds=seconds, in_flight=_IN_FLIGHT, protocol=protocol)


def _figures(found: dict[tuple[str, str], Measured]) -> Figures:
    plain = found[_PLAIN].images.requests_per_second
    figures = {}
    for (engine, precision), measured in found.items():
        name = f"resnet50_{engine}_{precision}"
        figures[f"{name}_images_per_second"] = measured.images.requests_per_second
        figures[f"{name}_photos_per_second"] = measured.photos.requests_per_second
        figures[f"{name}_mean_ms"] = measured.photos.mean_ms
        figures[f"{name}_p99_ms"] = measured.photos.p99_ms
        figures[f"{name}_resident_mb"] = round(measured.resident_mb)
        if engine == "openvino":
            ratio = measured.images.requests_per_second / plain
            figures[f"throughput_ratio_{precision}_vs_tensorflow"] = ratio
    return figures
