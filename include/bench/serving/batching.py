"""The same crowd of requests with and without batching (ADR 0013)."""

import tempfile
from pathlib import Path

from include.bench.artifacts import Folder, artifact
from include.bench.measurement import Figures, Found, Say
from include.bench.serving.load import Pace, pace
from include.bench.serving.replicas import Artifact, deploy, object_store, replicas, upload
from include.stack.layout import Stack

_NETWORKS, _SIZES, _CROWD = ("EfficientNetLite0", "ResNet50"), (1, 8), 16
_SECONDS = 7.5


def batching(say: Say) -> Found:
    figures: Figures = {}
    with object_store(say) as store:
        for network in _NETWORKS:
            model = uploaded(network, store)
            found = {size: _pace(store, model, size) for size in _SIZES}
            say(", ".join(f"{network} ×{size}: {p.requests_per_second:.0f}/s" for size, p in found.items()))
            name = f"batching_{network.lower()}"
            figures |= {f"{name}_{size}_images_per_second": p.requests_per_second for size, p in found.items()}
            figures |= {f"{name}_{size}_p99_ms": p.p99_ms for size, p in found.items()}
    return Found(figures, f"{_CROWD} requests of one decoded image in flight; batches of up to {_SIZES[-1]}, and none.")


def uploaded(network: str, store: Stack) -> Artifact:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sha256 = artifact(network, Folder(Path(folder)), "s3://bench/")
        model = Artifact("v1.0.0", f"s3://models/{network}/", sha256)
        upload(Path(folder), store, model.uri)
    return model


def _pace(store: Stack, model: Artifact, size: int) -> Pace:
    with replicas(store, 1, settings={"batch_images": size}) as (replica,), replica.lifecycle() as client:
        deploy([client], model)
        return pace([replica.address], seconds=_SECONDS, in_flight=_CROWD, protocol="open-inference")
