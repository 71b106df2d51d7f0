"""Images per second through faceserve's engines, one image a request as clients send them."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faceserve.engines.base import InferenceEngine, factory
from include.bench.backbones import BACKBONES
from include.bench.measurement import Measurement, Say, seconds
from pipeline.domain.training import Hyperparameters
from pipeline.learning import head
from pipeline.learning.export import Identity, export

if TYPE_CHECKING:
    import keras

_THREADS, _IN_FLIGHT, _WARM_UP = 2, 4, 20
_REQUESTS = {"EfficientNetLite0": 400, "ResNet50": 150}
_ENTRY = {"openvino": "openvino/model.xml", "tensorflow": "savedmodel/saved_model.pb"}


def engines(say: Say) -> Iterator[Measurement]:
    for name, build in BACKBONES.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            say(f"{name}: exporting")
            _export(name, build(), Path(folder))
            rates = {}
            for engine, entry in _ENTRY.items():
                loaded = factory(engine, _THREADS)(Path(folder) / entry)
                rates[engine] = _rate(loaded, _REQUESTS[name])
                loaded.close()
                say(f"{name}: {engine} {rates[engine]:.1f} images/s")
        yield Measurement(
            f"engine_{name.lower()}",
            "images/s",
            rates["openvino"],
            rates["tensorflow"],
            "TensorFlow SavedModel",
            f"OpenVINO f32; {_REQUESTS[name]} requests of one image, {_IN_FLIGHT} in flight, {_THREADS} threads",
        )


def _rate(engine: InferenceEngine, requests: int) -> float:
    image = np.random.default_rng(1).integers(0, 256, (1, 224, 224, 3), np.uint8)
    with ThreadPoolExecutor(_IN_FLIGHT) as pool:
        list(pool.map(lambda _: engine.infer(image), range(_WARM_UP)))
        return requests / seconds(lambda: list(pool.map(lambda _: engine.infer(image), range(requests))))


class _Folder:
    """An object store that is a folder: the part of the URI behind `s3://bench/` is the path."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, uri: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        path = self._root / uri.removeprefix("s3://bench/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def read(self, uri: str) -> bytes:
        return (self._root / uri.removeprefix("s3://bench/")).read_bytes()

    def exists(self, uri: str) -> bool:
        return (self._root / uri.removeprefix("s3://bench/")).exists()


def _export(name: str, backbone: "keras.Model", folder: Path) -> None:
    classifier = head.new_head(int(backbone.output_shape[-1]), 2, Hyperparameters())
    golden = np.random.default_rng(2).integers(0, 256, (2, 224, 224, 3), np.uint8)
    identity = Identity("LAUNDRY", name, ("양호", "불량"), "bench", "bench")
    export(backbone, classifier, identity, golden, objects=_Folder(folder), uri="s3://bench/")
