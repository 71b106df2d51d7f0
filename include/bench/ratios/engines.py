"""Images per second through faceserve's engines, one image a request as clients send them."""

import tempfile
from pathlib import Path

import numpy as np

from faceserve.engines.base import factory
from include.bench.artifacts import Folder, artifact
from include.bench.backbones import BACKBONES
from include.bench.measurement import Figures, Found, Say, calls_per_second, compared

_THREADS, _IN_FLIGHT, _SECONDS = 2, 4, 8.0
_OURS, _PLAIN = "openvino/model.xml", "savedmodel/saved_model.pb"


def engines(say: Say) -> Found:
    figures: Figures = {}
    for network in BACKBONES:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            say(f"{network}: exporting")
            artifact(network, Folder(Path(folder)), "s3://bench/")
            ours = _images_per_second("openvino", Path(folder, _OURS))
            plain = _images_per_second("tensorflow", Path(folder, _PLAIN))
        say(f"{network}: OpenVINO {ours:.1f}, TensorFlow {plain:.1f} images/s")
        figures |= compared(f"engine_{network.lower()}", "images_per_second", ours=ours, plain=plain)
    return Found(
        figures,
        f"OpenVINO f32; requests of one image for {_SECONDS:.0f} seconds, {_IN_FLIGHT} in flight, {_THREADS} threads. "
        "Plain: TensorFlow SavedModel.",
    )


def _images_per_second(engine: str, entry: Path) -> float:
    image = np.random.default_rng(1).integers(0, 256, (1, 224, 224, 3), np.uint8)
    loaded = factory(engine, _THREADS)(entry, "f32")
    try:
        return calls_per_second(lambda: loaded.infer(image), callers=_IN_FLIGHT, at_least_seconds=_SECONDS)
    finally:
        loaded.close()
