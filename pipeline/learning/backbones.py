"""Frozen ImageNet networks to learn on top of; a new one is one entry in `BACKBONES`."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.domain.errors import GiveUp
from pipeline.ports import ObjectStore

if TYPE_CHECKING:
    import keras

_RESNET50_FILE = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
_HDF5 = b"\x89HDF\r\n\x1a\n"

Build = Callable[[ObjectStore, str | None], "keras.Model"]


def build(name: str, objects: ObjectStore, weights_uri: str | None) -> "keras.Model":
    """RGB float32 [N, 224, 224, 3] of 0-255 → features float32 [N, width], frozen.

    Raises `GiveUp` naming which weights file to put where when none can be reached.
    """
    if name not in BACKBONES:
        raise GiveUp(f"unknown backbone {name[:40]!r}: choose one of {', '.join(BACKBONES)}")
    model = BACKBONES[name](objects, weights_uri)
    model.trainable = False
    return model


def _efficientnet_lite0(objects: ObjectStore, weights_uri: str | None) -> "keras.Model":
    from pipeline.learning.efficientnet_lite0 import backbone

    return backbone()


def _resnet50(objects: ObjectStore, weights_uri: str | None) -> "keras.Model":
    import keras

    cached = Path.home() / ".keras" / "models" / _RESNET50_FILE
    if weights_uri and not cached.exists():
        _copy(objects, weights_uri, cached)
    try:
        core = keras.applications.ResNet50(
            include_top=False, pooling="avg", weights=str(cached) if cached.exists() else "imagenet"
        )
    except Exception as error:
        raise GiveUp(
            f"ResNet50 weights cannot be reached ({type(error).__name__}): put {_RESNET50_FILE} (Keras applications) "
            f"at {cached}, or set RETRAIN_WEIGHTS_URI to an s3:// copy of it"
        ) from error
    inputs = keras.Input((224, 224, 3))
    # ResNet50's weights were trained on BGR with the mean of ImageNet taken off.
    bgr = keras.ops.flip(inputs, axis=-1) - keras.ops.array([103.939, 116.779, 123.68])
    return keras.Model(inputs, core(bgr, training=False), name="resnet50")


def _copy(objects: ObjectStore, uri: str, cached: Path) -> None:
    """Keep the mirror's file in Keras' cache; only whole and readable, because what lies there is used from then on."""
    try:
        body = objects.read(uri)
    except KeyError:
        raise GiveUp(f"no ResNet50 weights at {uri}: put {_RESNET50_FILE} there") from None
    if not body.startswith(_HDF5):
        raise GiveUp(f"{uri} is no weights file: put {_RESNET50_FILE} (Keras applications) there")
    cached.parent.mkdir(parents=True, exist_ok=True)
    partial = cached.with_suffix(f".{os.getpid()}")
    partial.write_bytes(body)
    partial.replace(cached)


BACKBONES: Mapping[str, Build] = {"ResNet50": _resnet50, "EfficientNetLite0": _efficientnet_lite0}
