"""Models to measure with: real networks, and heads that tell dark images from bright ones."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from include.bench.backbones import BACKBONES
from include.bench.photos import LABELS
from pipeline.learning.export import Destination, Identity, Samples, Trained, export
from pipeline.learning.network import new_head
from pipeline.learning.shards import Images
from pipeline.ports.data import ObjectStore

if TYPE_CHECKING:
    import keras

_CALIBRATION = 32
_SHARPNESS = 4.0


class Folder:
    """An object store in a folder: what follows `s3://bench/` in a URI is the path."""

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


def artifact(name: str, objects: ObjectStore, uri: str, *, seed: int = 0, formats: tuple[str, ...] = ()) -> str:
    """Export the named network with a head made for it; returns the sha256 of its manifest."""
    network = small_network() if name == "small" else BACKBONES[name]()
    images, labels = _dark_and_bright()
    classifier = _nearest_centroid(network.predict(images.astype(np.float32), verbose=0), labels, seed)
    samples = Samples(images, Images(images, labels))
    identity = Identity("LAUNDRY", name, LABELS, f"bench-{seed}", "bench")
    return export(Trained(network, classifier), identity, samples, Destination(objects, uri), formats=formats)


def _dark_and_bright() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Noise, every other image dark: far enough apart that rounding to int8 cannot change an answer."""
    images = np.random.default_rng(2).integers(0, 96, (_CALIBRATION, 224, 224, 3), np.uint8)
    images[1::2] += 160
    return images, np.resize(np.array([1, 0], np.int32), _CALIBRATION)


def _nearest_centroid(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], seed: int) -> "keras.Model":
    """A head that answers with the class whose mean features are nearer; every `seed` gives other weights."""
    classifier = new_head(features.shape[1], len(LABELS), seed)
    centroids = np.stack([features[labels == label].mean(0) for label in range(len(LABELS))])
    apart = centroids[0] - centroids[1]
    weights = (_SHARPNESS + seed) * apart / (apart @ apart)
    bias = weights @ centroids.mean(0)
    classifier.layers[-1].set_weights([np.stack([weights, -weights], 1), np.array([-bias, bias])])
    return classifier


def small_network() -> "keras.Model":
    """A network that takes a few milliseconds, so that a benchmark can send many requests."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(8, 5, strides=4, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]
    )
