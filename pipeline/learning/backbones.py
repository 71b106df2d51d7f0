"""How each of the frozen ImageNet networks is built; their names stand in `pipeline.domain.backbones`."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.domain.errors import GiveUp
from pipeline.ports.data import ObjectStore

if TYPE_CHECKING:
    import keras

_RESNET50_FILE = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Backbone:
    """`build` loads the weights; fine-tuning may change what comes after the layer `border`."""

    build: Callable[[ObjectStore, str | None], "keras.Model"]
    border: str


def build(name: str, objects: ObjectStore, weights_uri: str | None, precision: str = "float32") -> "keras.Model":
    """RGB float32 [N, 224, 224, 3] of 0-255 → features [N, width], frozen; `precision` as Keras names its policies.

    Raises `GiveUp` when no weights can be reached; it says which file to put where.
    """
    import keras

    if name not in BUILDERS:
        raise GiveUp(f"unknown backbone {name[:40]!r}: choose one of {', '.join(BUILDERS)}")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model = BUILDERS[name].build(objects, weights_uri)
    finally:
        keras.config.set_dtype_policy(before)
    model.trainable = False
    return model


def split(backbone: "keras.Model", at: str) -> tuple["keras.Model", "keras.Model"]:
    """The backbone up to and including layer `at`, and the rest; both share the backbone's weights."""
    import keras

    border = backbone.get_layer(at).output
    return keras.Model(backbone.inputs, border), keras.Model(border, backbone.outputs[0])


def _efficientnet_lite0(objects: ObjectStore, weights_uri: str | None) -> "keras.Model":
    from pipeline.learning.efficientnet_lite0 import backbone

    return backbone()


def _resnet50(objects: ObjectStore, weights_uri: str | None) -> "keras.Model":
    import keras

    cached = Path.home() / ".keras" / "models" / _RESNET50_FILE
    if weights_uri and not cached.exists():
        _copy(objects, weights_uri, cached)
    inputs = keras.Input((224, 224, 3))
    # ResNet50's weights were trained on BGR with the mean of ImageNet taken off.
    bgr = keras.ops.flip(inputs, axis=-1) - keras.ops.array([103.939, 116.779, 123.68])
    try:
        return keras.applications.ResNet50(
            include_top=False,
            pooling="avg",
            weights=str(cached) if cached.exists() else "imagenet",
            input_tensor=bgr,
            name="resnet50",
        )
    except Exception as error:
        raise GiveUp(
            f"ResNet50 weights cannot be reached ({type(error).__name__}): put {_RESNET50_FILE} (Keras applications) "
            f"at {cached}, or set RETRAIN_WEIGHTS_URI to an s3:// copy of it"
        ) from error


def _copy(objects: ObjectStore, uri: str, cached: Path) -> None:
    """Keep the mirror's file in Keras' cache, if it is complete and readable: from then on it is used."""
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


BUILDERS: Mapping[str, Backbone] = {
    "EfficientNetLite0": Backbone(_efficientnet_lite0, border="block14_add"),
    "ResNet50": Backbone(_resnet50, border="conv5_block2_out"),
}
