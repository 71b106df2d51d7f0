"""600 images × 50 epochs of ResNet50: the frozen backbone once, against a plain fit that runs it every epoch."""

import resource
from typing import TYPE_CHECKING

import numpy as np

from include.bench.backbones import BACKBONES
from include.bench.measurement import Found, Say, seconds
from include.bench.training import ours, plain
from pipeline.domain.training import Hyperparameters
from pipeline.learning.shards import Images

if TYPE_CHECKING:
    import keras

_IMAGES, _VALIDATION, _EPOCHS, _BATCH = 600, 120, 50, 32
_MEASURED_EPOCHS = 2


def speed(say: Say) -> Found:
    train, validation = _noise(_IMAGES, 1), _noise(_VALIDATION, 2)
    backbone = BACKBONES["ResNet50"]()
    backbone.trainable = False
    say(f"features once, then {_EPOCHS} epochs")
    fast = seconds(lambda: _ours(backbone, train, validation))
    peak_memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"{fast:.1f} s; now the plain fit, {_MEASURED_EPOCHS} epochs of {_EPOCHS}")
    slow = _plain_seconds(backbone, train, validation)
    figures = {
        "training_seconds": fast,
        "training_plain_fit_seconds": slow,
        "training_speedup_vs_plain_fit": slow / fast,
        "peak_memory_mb": peak_memory_mb,
    }
    return Found(
        figures,
        f"ResNet50/224 with random weights (same cost), {_IMAGES} images, {_VALIDATION} for validation, {_EPOCHS} "
        f"epochs, batch {_BATCH}. Ours: features and epochs, compiling included. Plain: {_MEASURED_EPOCHS} epochs "
        f"measured after warming up, extrapolated to {_EPOCHS}. Memory: peak of ours, images and TensorFlow included.",
    )


def _ours(backbone: "keras.Model", train: Images, validation: Images) -> None:
    sides = ours.extracted(backbone, train=train, validation=validation)
    ours.learned(sides[0], sides[1], Hyperparameters(epochs=_EPOCHS, batch_size=_BATCH))


def _plain_seconds(backbone: "keras.Model", train: Images, validation: Images) -> float:
    """Of all epochs, extrapolated from a few."""
    model, few = plain.compiled(backbone, 1), Images(train.images[:_BATCH], train.labels[:_BATCH])
    plain.fit(model, few, few, epochs=1, batch=_BATCH)
    measured = seconds(lambda: plain.fit(model, train, validation, epochs=_MEASURED_EPOCHS, batch=_BATCH))
    return measured / _MEASURED_EPOCHS * _EPOCHS


def _noise(count: int, seed: int) -> Images:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 224, 224, 3), np.uint8)
    return Images(pixels, (np.arange(count) % 2).astype(np.int32))
