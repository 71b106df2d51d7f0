"""Images per second through faceserve's engines, one image a request as clients send them."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from faceserve.engines.base import InferenceEngine, factory
from include.bench.artifacts import Folder, artifact
from include.bench.backbones import BACKBONES
from include.bench.measurement import Measurement, Say, seconds

_THREADS, _IN_FLIGHT, _WARM_UP = 2, 4, 20
_REQUESTS = {"EfficientNetLite0": 400, "ResNet50": 150}
_ENTRY = {"openvino": "openvino/model.xml", "tensorflow": "savedmodel/saved_model.pb"}


def engines(say: Say) -> Iterator[Measurement]:
    for name in BACKBONES:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            say(f"{name}: exporting")
            artifact(name, Folder(Path(folder)), "s3://bench/")
            rates = {}
            for engine, entry in _ENTRY.items():
                loaded = factory(engine, _THREADS)(Path(folder) / entry, "f32")
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
