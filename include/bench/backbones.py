"""The networks that are measured; ResNet50 has random weights, which take as long as learned ones."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def _efficientnet_lite0() -> "keras.Model":
    from pipeline.learning.efficientnet_lite0 import backbone

    return backbone()


def _resnet50() -> "keras.Model":
    import keras

    core = keras.applications.ResNet50(include_top=False, pooling="avg", weights=None)
    inputs = keras.Input((224, 224, 3))
    return keras.Model(inputs, core(inputs / 255.0, training=False), name="resnet50")


BACKBONES: Mapping[str, Callable[[], "keras.Model"]] = {
    "EfficientNetLite0": _efficientnet_lite0,
    "ResNet50": _resnet50,
}
