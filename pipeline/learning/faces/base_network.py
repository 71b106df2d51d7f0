"""The frozen network that turns an aligned face into 128 numbers, rebuilt in Keras.

He et al. 2015 as dlib's `face_recognition_resnet_model_v1` has it, operation by operation as face-api.js computes it
(`src/faceRecognitionNet/`). Every convolution is followed by a fixed scale and shift; they are folded into it.
"""

from typing import Any

import keras
import numpy as np

from pipeline.learning.faces.base_weights import Tensors, read_weights

PIXELS, WIDTH = 150, 128
_MEANS = (122.782, 117.001, 104.298)
# Each begins with a block that halves the picture, the very first one without.
_BLOCKS = (
    ("conv32_1", "conv32_2", "conv32_3"),
    ("conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    ("conv128_down", "conv128_1", "conv128_2"),
    ("conv256_down", "conv256_1", "conv256_2", "conv256_down_out"),
)


def base_network(weights: Tensors | None = None) -> keras.Model:
    """RGB float32 [N, 150, 150, 3] of 0-255 → embeddings float32 [N, 128], of no particular length. It does not learn.

    Raises `WeightsRefused`.
    """
    tensors = read_weights() if weights is None else weights
    inputs = keras.Input((PIXELS, PIXELS, 3), name="faces")
    x = keras.layers.Rescaling(1 / 255, offset=[-mean / 255 for mean in _MEANS])(inputs)
    x = _convolution(x, tensors, "conv32_down", stride=2)
    x = keras.layers.MaxPooling2D(3, 2, padding="valid")(x)
    for name in (block for stage in _BLOCKS for block in stage):
        x = _residual(x, tensors, name, halves="_down" in name)
    x = keras.layers.GlobalAveragePooling2D()(x)
    embeddings = _fixed(keras.layers.Dense(WIDTH, use_bias=False, name="embeddings"), x, [tensors["fc"]])
    return keras.Model(inputs, embeddings, name="face_base", trainable=False)


def _residual(x: Any, tensors: Tensors, name: str, *, halves: bool) -> Any:
    out = _convolution(x, tensors, f"{name}/conv1", stride=2 if halves else 1)
    out = _convolution(out, tensors, f"{name}/conv2", activate=False)
    if halves:
        x = keras.layers.AveragePooling2D(2, 2, padding="valid")(x)
        # A picture of even size loses a row and a column to the convolution that the average keeps.
        missing = x.shape[1] - out.shape[1]
        out = keras.layers.ZeroPadding2D(((0, missing), (0, missing)))(out) if missing else out
        if x.shape[3] < out.shape[3]:
            x = keras.layers.Concatenate()([x, keras.layers.Rescaling(0.0)(x)])
    return keras.layers.ReLU()(keras.layers.Add()([out, x]))


def _convolution(x: Any, tensors: Tensors, name: str, *, stride: int = 1, activate: bool = True) -> Any:
    filters, bias = tensors[f"{name}/conv/filters"], tensors[f"{name}/conv/bias"]
    scale, shift = tensors[f"{name}/scale/weights"], tensors[f"{name}/scale/biases"]
    layer = keras.layers.Conv2D(
        filters.shape[3],
        filters.shape[:2],
        strides=stride,
        padding="same" if stride == 1 else "valid",
        activation="relu" if activate else None,
        name=name.replace("/", "_"),
    )
    return _fixed(layer, x, [filters * scale, bias * scale + shift])


def _fixed(layer: Any, x: Any, values: list[np.ndarray]) -> Any:
    out = layer(x)
    layer.set_weights(values)
    layer.trainable = False
    return out
