"""Epoch by epoch, resumable after any of them: what an epoch does depends on seed, phase and number alone."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import psutil

from pipeline.domain.errors import TrainingFailed, TrainingInterrupted
from pipeline.domain.training import Epoch, Hyperparameters
from pipeline.learning.learner import Batch, Learner
from pipeline.learning.network import Arrays

_DROPOUT = 0.3
_KEPT = np.float32(1 / (1 - _DROPOUT))


@dataclass(frozen=True)
class Split:
    """`inputs` [N, …] of the network, `targets` float32 one-hot [N, labels]."""

    inputs: npt.NDArray[np.floating]
    targets: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sides:
    """What is learned from, and what says when to stop."""

    train: Split
    validation: Split


@dataclass(frozen=True)
class Phase:
    """`number` gives each phase random draws of its own; `learning_rate` of Adam, `patience` in epochs."""

    name: str
    number: int
    epochs: int
    learning_rate: float
    patience: int


@dataclass(frozen=True)
class Progress:
    """State of a phase: all that is needed to go on as if nothing had happened. `best` are weights."""

    epoch: int = 0
    best_epoch: int = 0
    best_val_loss: float = math.inf
    history: tuple[dict[str, float], ...] = ()
    best: Arrays = field(default_factory=list)
    state: Arrays = field(default_factory=list)


@dataclass(frozen=True)
class Course:
    """Where a phase goes on from, and who hears of it: `keep` writes a checkpoint, `on_epoch` is told of each epoch."""

    progress: Progress
    keep: Callable[[Progress], None]
    on_epoch: Callable[[Epoch], None]


def fit(learner: Learner, sides: Sides, hyperparameters: Hyperparameters, phase: Phase, course: Course) -> Progress:
    """Train until `patience` epochs brought no better val_loss; the network ends with its best weights.

    Checkpoints are kept every few epochs, and when the process is asked to end.
    Raises `TrainingFailed` with cause `diverged` when a loss is not finite.
    """
    h, progress = hyperparameters, course.progress
    if progress.state:
        learner.restore(progress.state)
    weights = row_weights(sides.train.targets, balanced=h.balance_classes)
    started, first = time.monotonic(), progress.epoch
    try:
        while progress.epoch < phase.epochs and progress.epoch - progress.best_epoch < phase.patience:
            number = progress.epoch + 1
            logs = _one_epoch(learner, sides, h, weights=weights, place=(phase.number, number))
            if not all(math.isfinite(value) for value in logs.values()):
                loss = f"loss is {logs['loss']:g}, val_loss {logs['val_loss']:g}"
                raise TrainingFailed("diverged", f"{loss} in epoch {number} at rate {phase.learning_rate:g}")
            # One assignment: an interruption finds either the epoch before or this one, never a part of it.
            progress = _advanced(progress, learner, logs)
            if number % h.checkpoint_every_epochs == 0:
                course.keep(progress)
            eta_seconds = (time.monotonic() - started) / (number - first) * (phase.epochs - number)
            course.on_epoch(_epoch(phase, number, logs, eta_seconds))
    except TrainingInterrupted:
        if progress.state:
            course.keep(progress)
        raise
    learner.network.put_back(progress.best)
    return progress


def _advanced(before: Progress, learner: Learner, logs: dict[str, float]) -> Progress:
    number, history, state = before.epoch + 1, (*before.history, logs), learner.state()
    if logs["val_loss"] < before.best_val_loss:
        return Progress(number, number, logs["val_loss"], history, learner.network.weights(), state)
    return replace(before, epoch=number, history=history, state=state)


def _epoch(phase: Phase, number: int, logs: dict[str, float], eta_seconds: float) -> Epoch:
    return Epoch(
        number,
        phase.epochs,
        learning_rate=phase.learning_rate,
        eta_seconds=eta_seconds,
        phase=phase.name,
        memory_mb=round(psutil.Process().memory_info().rss / 2**20, 1),
        **logs,
    )


def _one_epoch(
    learner: Learner,
    sides: Sides,
    h: Hyperparameters,
    *,
    weights: npt.NDArray[np.float32],
    place: tuple[int, int],
) -> dict[str, float]:
    rng, train = np.random.default_rng([h.seed, *place]), sides.train
    order = rng.permutation(len(train.inputs))
    smooth = h.label_smoothing
    targets = (train.targets * (1 - smooth) + smooth / train.targets.shape[1]).astype(np.float32)
    size = h.batch_size * h.accumulation
    loss = right = 0.0
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        # Drawn for the whole step at once, so that dividing it over parts and devices changes nothing.
        drawn = rng.random((len(rows), learner.network.width), np.float32)
        kept = np.where(drawn >= _DROPOUT, _KEPT, np.float32(0))
        whole = Batch(train.inputs[rows], targets[rows], weights[rows], kept)
        more = learner.step(_parts(whole, h.batch_size), len(rows))
        loss, right = loss + more[0], right + more[1]
    val_loss, val_accuracy = learner.evaluate(sides.validation.inputs, sides.validation.targets)
    count = len(order)
    return {"loss": loss / count, "accuracy": right / count, "val_loss": val_loss, "val_accuracy": val_accuracy}


def _parts(whole: Batch, size: int) -> Iterator[Batch]:
    for at in range(0, len(whole.targets), size):
        part = slice(at, at + size)
        yield Batch(whole.inputs[part], whole.targets[part], whole.weights[part], whole.kept[part])


def row_weights(targets: npt.NDArray[np.float32], *, balanced: bool) -> npt.NDArray[np.float32]:
    """One weight per row, 1 on average. If `balanced`, rows of rare classes weigh more: all classes count alike."""
    if not balanced:
        return np.ones(len(targets), np.float32)
    counts = targets.sum(axis=0)
    return (len(targets) / (len(counts) * counts))[targets.argmax(1)].astype(np.float32)
