"""Hyperparameters, what a training returns, and how to change course after a failed attempt (specification §5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated

from pipeline.domain.backbones import BACKBONES
from pipeline.domain.bounds import AtLeastOne, Count, OneOf, Range

MAX_ATTEMPTS = 3
# Cause of an attempt whose end was never recorded: it is running, or its process died.
RUNNING = "running"
MIN_PHOTOS_PER_CLASS = 8
MAX_EPOCHS = 1000
_MIN_BATCH_SIZE = 4
_PLATEAU_SLOWDOWN = 3
_SWEPT, _SMOOTHED = 3, 0.1


@dataclass(frozen=True)
class Hyperparameters:
    """What a training may be told (specification, message 18)."""

    backbone: Annotated[str, OneOf(BACKBONES)] = BACKBONES[-1]
    """Frozen ImageNet backbone; the weights of EfficientNetLite0 come with a package."""
    epochs: Annotated[int, Range(at_least=1, at_most=MAX_EPOCHS)] = 50
    """Times that training goes through all images, at most."""
    batch_size: AtLeastOne = 32
    """Images that are in memory at a time; a step of the optimizer sees as many, or more where memory was short."""
    learning_rate: Annotated[float, Range(above=0, at_most=1)] = 0.001
    """Step size of the optimizer (Adam)."""
    patience: AtLeastOne = 5
    """Epochs without better val_loss after which training stops."""
    checkpoint_every_epochs: AtLeastOne = 5
    """Epochs between checkpoints, which a training that was killed goes on from."""
    label_smoothing: Annotated[float, Range(at_least=0, below=1)] = 0.0
    """Label smoothing: share of certainty taken off the labels, against overconfidence and wrong labels."""
    seed: Count = 7
    """Seed of initial weights and of the order of images."""
    accumulation: AtLeastOne = 1
    """Batches that make one step of the optimizer; more than one where memory was short."""
    balance_classes: bool = True
    """Rare classes weigh more in training, so that each counts alike."""
    fine_tune_epochs: Count = 0
    """Epochs of a second phase that trains the backbone's last block too, at a tenth of the rate, kept only if it helps
    validation; 0: none."""
    sweep: bool = False
    """Other learning rates and label smoothings are tried as well, each on record, and what does best on validation is
    gone on with: six heads instead of one, seconds where features take minutes."""

    @property
    def tried(self) -> tuple["Hyperparameters", ...]:
        """The settings that a sweep tries, those asked for first; without a sweep only those."""
        if not self.sweep:
            return (self,)
        rates = (self.learning_rate, min(1.0, self.learning_rate * _SWEPT), self.learning_rate / _SWEPT)
        smoothings = (self.label_smoothing, 0.0 if self.label_smoothing else _SMOOTHED)
        found = [replace(self, learning_rate=rate, label_smoothing=s) for s in smoothings for rate in rates]
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Tried:
    """One training of a sweep, with the figures of its best epoch; they are None when it failed with `fault`."""

    learning_rate: float
    label_smoothing: float
    epochs: int = 0
    val_loss: float | None = None
    val_accuracy: float | None = None
    fault: str = ""


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is recognised on the validation photos, each figure 0-1; `support` counts its photos."""

    label: str
    precision: float
    recall: float
    f1_score: float
    support: int


@dataclass(frozen=True)
class TrainingResult:
    """The result of one successful training (specification, message 19); accuracies 0-1, higher is better.

    `auc` is the area under the ROC curve of `불량`; `confusion` counts rows true, columns predicted, in label order.
    `ece` is the expected calibration error, 0-1: how far stated confidence is from the share that was right.
    `fine_tuned`: the backbone's last block was trained too, and validation got better by it.
    """

    run_id: str
    dataset_id: str
    backbone: str
    artifact_uri: str
    manifest_sha256: str
    accuracy: float
    val_accuracy: float
    loss: float
    val_loss: float
    f1_score: float
    auc: float
    confusion: tuple[tuple[int, ...], ...]
    epochs_completed: int
    training_seconds: float
    trained_at: datetime
    hyperparameters: Hyperparameters
    experiment_run_id: str | None = None
    per_class: tuple[ClassFigures, ...] = ()
    ece: float | None = None
    fine_tuned: bool = False
    peak_memory_mb: float | None = None


@dataclass(frozen=True)
class Epoch:
    """Progress after one epoch; `number` counts from 1, `eta_seconds` to the last permitted epoch of the phase.

    `memory_mb` is the memory of the process now.
    """

    number: int
    of: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    eta_seconds: float
    phase: str = "head"
    memory_mb: float = 0.0


@dataclass(frozen=True)
class Attempt:
    """One try at training: `cause` empty on success, `change` what the next attempt does differently.

    Other causes are `RUNNING` and those of `TrainingFailed`.
    """

    number: int
    hyperparameters: Hyperparameters
    cause: str = ""
    detail: str = ""
    change: str = ""


@dataclass(frozen=True)
class Adjustment:
    """The next attempt's hyperparameters, or None with the reason why another attempt cannot help."""

    hyperparameters: Hyperparameters | None
    change: str = field(default="")


def adjust(failed: Hyperparameters, cause: str, attempt: int) -> Adjustment:
    """What to try after `attempt` (from 1) failed with `cause` (see `TrainingFailed`)."""
    if attempt >= MAX_ATTEMPTS:
        return Adjustment(None, f"{MAX_ATTEMPTS} attempts used")
    if cause == "too_little_data":
        return Adjustment(None, "more photos are needed, other hyperparameters cannot help")
    if cause == "out_of_memory":
        return _smaller_batches(failed)
    if cause == "diverged":
        lowered = failed.learning_rate / 10
        return Adjustment(
            replace(failed, learning_rate=lowered), f"learning rate {failed.learning_rate:g} → {lowered:g}"
        )
    if cause == "plateau":
        lowered, longer = failed.learning_rate / _PLATEAU_SLOWDOWN, failed.patience * 2
        return Adjustment(
            replace(failed, learning_rate=lowered, patience=longer),
            f"learning rate {failed.learning_rate:g} → {lowered:g}, patience {failed.patience} → {longer}",
        )
    return Adjustment(replace(failed, seed=failed.seed + 1), f"seed {failed.seed} → {failed.seed + 1}")


def _smaller_batches(failed: Hyperparameters) -> Adjustment:
    """Half as many images at a time; gradients of more batches are added up, so that a step stays the same."""
    if failed.batch_size <= _MIN_BATCH_SIZE:
        return Adjustment(None, f"out of memory at batch size {failed.batch_size} already")
    halved = max(_MIN_BATCH_SIZE, failed.batch_size // 2)
    parts = round(failed.batch_size * failed.accumulation / halved)
    return Adjustment(
        replace(failed, batch_size=halved, accumulation=parts),
        f"batch size {failed.batch_size} → {halved}, {parts} batches a step",
    )


def next_attempt(requested: Hyperparameters, tried: Sequence[Attempt]) -> Attempt | None:
    """The attempt to make now, or to go on with; None when those that were made (oldest first) used up all attempts."""
    if not tried:
        return Attempt(1, requested, RUNNING)
    last = tried[-1]
    if last.cause in {"", RUNNING}:
        return replace(last, cause=RUNNING)
    following = adjust(last.hyperparameters, last.cause, last.number).hyperparameters
    return Attempt(last.number + 1, following, RUNNING) if following else None


def learned_nothing(natural_loss: float, guessing_loss: float, *, stopped_early: bool) -> bool:
    """A plateau: patience ran out, and answering every photo with the shares of the classes would be as good.

    Both are mean cross-entropies on the validation photos of answers that expect each class as often as it is there.
    """
    return stopped_early and natural_loss >= guessing_loss
