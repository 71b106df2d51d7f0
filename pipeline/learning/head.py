"""The part that is trained: a classifier on cached features, epoch by epoch, resumable after any of them."""

import io
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.domain.errors import TrainingFailed
from pipeline.domain.training import Epoch, Hyperparameters

if TYPE_CHECKING:
    import keras

_DROPOUT = 0.3


@dataclass
class Progress:
    """Where a training is: everything that is needed to go on as if nothing had happened."""

    epoch: int = 0
    best_epoch: int = 0
    best_val_loss: float = math.inf
    best: list[npt.NDArray[Any]] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Split:
    """`features` float32 [N, width], `targets` float32 one-hot [N, labels]."""

    features: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]


def new_head(width: int, labels: int, hyperparameters: Hyperparameters) -> "keras.Model":
    """Dropout and one dense layer, compiled with Adam and cross-entropy."""
    import keras

    keras.utils.set_random_seed(hyperparameters.seed)
    inputs = keras.Input((width,))
    x = keras.layers.Dropout(_DROPOUT, seed=hyperparameters.seed)(inputs)
    head = keras.Model(inputs, keras.layers.Dense(labels, activation="softmax", name="probabilities")(x))
    head.compile(
        optimizer=keras.optimizers.Adam(hyperparameters.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=hyperparameters.label_smoothing),
        metrics=["accuracy"],
    )
    return head


def fit(
    head: "keras.Model",
    train: Split,
    validation: Split,
    hyperparameters: Hyperparameters,
    *,
    progress: Progress,
    checkpoint: Callable[[Progress], None],
    on_epoch: Callable[[Epoch], None],
) -> Progress:
    """Train until `patience` epochs brought no better val_loss; the head ends with its best weights.

    Raises `TrainingFailed` with cause `diverged` when the loss is not finite.
    """
    h = hyperparameters
    weights = _class_weights(train.targets)
    started, first = time.monotonic(), progress.epoch
    while progress.epoch < h.epochs and progress.epoch - progress.best_epoch < h.patience:
        number = progress.epoch + 1
        # The order depends on the epoch alone, so that a resumed training goes on with the same one.
        order = np.random.default_rng([h.seed, number]).permutation(len(train.features))
        logs = _one_epoch(head, train, validation, order=order, weights=weights, batch=h.batch_size)
        if not all(math.isfinite(value) for value in logs.values()):
            raise TrainingFailed("diverged", f"loss is {logs['loss']} in epoch {number} at rate {h.learning_rate:g}")
        progress.epoch = number
        progress.history.append(logs)
        if logs["val_loss"] < progress.best_val_loss:
            progress.best_epoch, progress.best_val_loss = number, logs["val_loss"]
            progress.best = [np.array(w) for w in head.get_weights()]
        eta_seconds = (time.monotonic() - started) / (number - first) * (h.epochs - number)
        on_epoch(Epoch(number, h.epochs, learning_rate=h.learning_rate, eta_seconds=eta_seconds, **logs))
        if number % h.checkpoint_every_epochs == 0:
            checkpoint(progress)
    head.set_weights(progress.best)
    return progress


def _one_epoch(
    head: "keras.Model",
    train: Split,
    validation: Split,
    *,
    order: npt.NDArray[Any],
    weights: dict[int, float],
    batch: int,
) -> dict[str, float]:
    fitted = head.fit(
        train.features[order],
        train.targets[order],
        validation_data=(validation.features, validation.targets),
        batch_size=batch,
        class_weight=weights,
        shuffle=False,
        verbose=0,
    )
    return {name: float(fitted.history[name][0]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")}


def _class_weights(targets: npt.NDArray[np.float32]) -> dict[int, float]:
    """Rare classes weigh more, so that each counts alike."""
    counts = targets.sum(axis=0)
    return {index: float(len(targets) / (len(counts) * count)) for index, count in enumerate(counts)}


def save(head: "keras.Model", progress: Progress, belongs_to: str) -> bytes:
    """A checkpoint; `belongs_to` says of which training."""
    arrays = {f"v{i}": v.numpy() for i, v in enumerate(_state(head))}
    arrays |= {f"b{i}": w for i, w in enumerate(progress.best)}
    notes = {k: v for k, v in asdict(progress).items() if k != "best"} | {"belongs_to": belongs_to}
    out = io.BytesIO()
    arrays["notes"] = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()


def resume(head: "keras.Model", checkpoint: bytes, belongs_to: str) -> Progress | None:
    """Put the head where the checkpoint was; None when it is of another training."""
    with np.load(io.BytesIO(checkpoint), allow_pickle=False) as kept:
        notes = json.loads(kept["notes"].tobytes())
        if notes.pop("belongs_to") != belongs_to:
            return None
        state: Sequence[Any] = _state(head)
        for index, variable in enumerate(state):
            variable.assign(kept[f"v{index}"])
        best = [kept[f"b{i}"] for i in range(sum(name.startswith("b") for name in kept.files))]
    return Progress(best=best, **notes)


def _state(head: "keras.Model") -> list[Any]:
    """Weights, the dropout's random state, and the optimizer's moments."""
    head.optimizer.build(head.trainable_variables)
    seeds = [v for layer in head.layers for v in getattr(getattr(layer, "seed_generator", None), "variables", [])]
    return [*head.variables, *(s for s in seeds if all(s is not v for v in head.variables)), *head.optimizer.variables]
