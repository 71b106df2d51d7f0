"""What is trained: a dense head on the backbone's features, and perhaps the backbone's last block before it."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

Arrays = list[npt.NDArray[Any]]


class Network:
    """Without `tail` the inputs are features [N, width], with it activations at the tail's beginning.

    `variables` are what training changes; statistics of normalisation layers stay as ImageNet left them.
    """

    def __init__(self, head: "keras.Model", tail: "keras.Model | None" = None) -> None:
        self.head = head
        self.tail = tail
        self.width = int(head.input_shape[-1])
        self.variables = [*(tail.trainable_variables if tail else ()), *head.trainable_variables]

    def features(self, inputs: Any) -> Any:
        """What the head looks at, [N, width]."""
        import tensorflow as tf

        return self.tail(tf.cast(inputs, tf.float32), training=False) if self.tail else inputs

    def __call__(self, inputs: Any, kept: Any = None) -> Any:
        """Probabilities; `kept` multiplies the features (dropout)."""
        features = self.features(inputs)
        return self.head(features if kept is None else features * kept)

    def weights(self) -> Arrays:
        return [np.array(variable.numpy()) for variable in self.variables]

    def put_back(self, weights: Arrays) -> None:
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)


def new_head(width: int, labels: int, seed: int) -> "keras.Model":
    """One dense layer; the same seed gives the same first weights."""
    import keras

    inputs = keras.Input((width,))
    start = keras.initializers.GlorotUniform(seed)
    dense = keras.layers.Dense(labels, activation="softmax", kernel_initializer=start, name="probabilities")
    return keras.Model(inputs, dense(inputs))
