"""Steps of Adam on a network, over all devices; a step means the same however it is divided."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.learning.network import Arrays, Network

_EVALUATED_AT_ONCE = 512


@dataclass(frozen=True)
class Batch:
    """Inputs with one-hot targets [n, labels], one weight per row, and the dropout mask of the features [n, width]."""

    inputs: npt.NDArray[Any]
    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    kept: npt.NDArray[np.float32]


class Learner:
    """Must be made in the strategy's scope, as the network was."""

    def __init__(self, network: Network, learning_rate: float, strategy: Any) -> None:
        import keras
        import tensorflow as tf

        self.network = network
        self._strategy = strategy
        self._optimizer = keras.optimizers.Adam(learning_rate)
        self._optimizer.build(network.variables)
        self._gradients = tf.function(self._over_devices, reduce_retracing=True)
        self._add = tf.function(self._added, reduce_retracing=True)
        self._apply = tf.function(self._applied, reduce_retracing=True)
        self._predict = tf.function(network.__call__, reduce_retracing=True)
        self._features = tf.function(network.features, reduce_retracing=True)

    def step(self, parts: Iterable[Batch], rows: int) -> tuple[float, float]:
        """One update of the weights from all `parts`, `rows` rows in all. The sums of loss and of right answers."""
        gradients, loss, right = None, 0.0, 0.0
        for part in parts:
            scores, more = self._gradients(part.inputs, part.targets, part.weights, part.kept, np.float32(1 / rows))
            gradients = more if gradients is None else self._add(gradients, more)
            loss, right = loss + float(scores[0]) * rows, right + float(scores[1])
        self._apply(gradients)
        return loss, right

    def evaluate(self, inputs: npt.NDArray[Any], targets: npt.NDArray[np.float32]) -> tuple[float, float]:
        """Mean cross-entropy and accuracy, without dropout, weights or smoothing."""
        probabilities = self.predict(inputs)
        right = (probabilities.argmax(1) == targets.argmax(1)).mean()
        return cross_entropy(probabilities, targets), float(right)

    def predict(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return _in_slices(self._predict, inputs)

    def features(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """What the head looks at, [N, width]."""
        return _in_slices(self._features, inputs) if self.network.tail else inputs

    def state(self) -> Arrays:
        """Weights, and the optimizer's moments and counter: with the epoch's number, the whole state of a training."""
        return [np.array(variable.numpy()) for variable in self._state]

    def restore(self, state: Arrays) -> None:
        for variable, value in zip(self._state, state, strict=True):
            variable.assign(value)

    @property
    def _state(self) -> list[Any]:
        return [*self.network.variables, *self._optimizer.variables]

    def _over_devices(self, inputs: Any, targets: Any, weights: Any, kept: Any, scale: Any) -> Any:
        import keras
        import tensorflow as tf

        def on_one(inputs: Any, targets: Any, weights: Any, kept: Any) -> Any:
            context = tf.distribute.get_replica_context()
            mine = slice(context.replica_id_in_sync_group, None, context.num_replicas_in_sync)
            with tf.GradientTape() as tape:
                answers = self.network(inputs[mine], kept[mine])
                losses = keras.losses.categorical_crossentropy(targets[mine], answers)
                loss = tf.reduce_sum(losses * weights[mine]) * scale
            right = tf.argmax(answers, 1) == tf.argmax(targets[mine], 1)
            scores = tf.stack([loss, tf.reduce_sum(tf.cast(right, tf.float32))])
            return scores, tape.gradient(loss, [variable.value for variable in self.network.variables])

        scores, gradients = self._strategy.run(on_one, args=(inputs, targets, weights, kept))
        return self._strategy.reduce("SUM", scores, axis=None), gradients

    def _added(self, first: Any, second: Any) -> Any:
        def on_one(first: Any, second: Any) -> Any:
            return [a + b for a, b in zip(first, second, strict=True)]

        return self._strategy.run(on_one, args=(first, second))

    def _applied(self, gradients: Any) -> None:
        # The optimizer itself adds up the gradients of the devices.
        self._strategy.run(lambda mine: self._optimizer.apply(mine, self.network.variables), args=(gradients,))


def _in_slices(function: Any, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    slices = range(0, len(inputs), _EVALUATED_AT_ONCE)
    return np.concatenate([function(inputs[at : at + _EVALUATED_AT_ONCE]).numpy() for at in slices])


def cross_entropy(probabilities: npt.NDArray[np.float32], targets: npt.NDArray[np.float32]) -> float:
    """Mean over rows; NaN when a probability is NaN."""
    likelihoods = np.clip((probabilities * targets).sum(1, dtype=np.float64), 1e-7, 1.0)
    return float(-np.log(likelihoods).mean())
