"""Two phases: the head on cached features, then perhaps the backbone's last block on cached activations."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.domain.errors import TrainingFailed
from pipeline.domain.training import Epoch, Hyperparameters, Tried, learned_nothing
from pipeline.learning.checkpoints import Checkpoints
from pipeline.learning.fine_tuning import NAME as FINE_TUNING
from pipeline.learning.fine_tuning import fine_tune
from pipeline.learning.fitting import Phase, Progress, Sides, fit, row_weights
from pipeline.learning.frozen import Frozen
from pipeline.learning.learner import Learner
from pipeline.learning.measures import Probabilities, guessing_loss, natural_loss
from pipeline.learning.network import Network, new_head

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

_HEAD = "head"


@dataclass(frozen=True)
class Learned:
    """Probabilities and one-hot targets of both splits; one history a phase, the epoch of the best weights in each.

    `features` [N, width] are what the head sees of the training images, `hyperparameters` what it was trained with.
    """

    hyperparameters: Hyperparameters
    train: tuple[Probabilities, Probabilities]
    validation: tuple[Probabilities, Probabilities]
    histories: Mapping[str, tuple[dict[str, float], ...]]
    best_epochs: Mapping[str, int]
    fine_tuned: bool
    features: npt.NDArray[np.float32]


@dataclass
class Learning:
    """One attempt's learning; `run` makes the head, and tells what a sweep tried."""

    frozen: Frozen
    checkpoints: Checkpoints
    on_epoch: Callable[[Epoch], None]
    tried: list[Tried] = field(default_factory=list)

    def run(self) -> Learned:
        """Raises `TrainingFailed` with cause `diverged` or `plateau`."""
        asked = self.frozen.job.hyperparameters
        with self.frozen.strategy.scope():
            log.info("phase features: %s, once over every image", asked.backbone)
            sides = self.frozen.features()
            log.info("phase head: at most %d epochs on %d images", asked.epochs, len(sides.train.inputs))
            best = self._best_head(asked, sides)
            self.head, h, progress = best.learner.network.head, best.hyperparameters, best.progress
            _demand_learned(progress, h, sides, best.learner)
            phases, fine_tuned = {_HEAD: progress}, None
            if h.fine_tune_epochs:
                fine_tuned = self._fine_tune(h)
                if fine_tuned:
                    phases[FINE_TUNING] = fine_tuned.progress
            answers = fine_tuned or _Answers.of(progress, best.learner, sides)
        return Learned(
            h,
            (answers.train, sides.train.targets),
            (answers.validation, sides.validation.targets),
            {name: p.history for name, p in phases.items()},
            {name: p.best_epoch for name, p in phases.items()},
            fine_tuned is not None,
            answers.features,
        )

    def head_on_one_device(self) -> "keras.Model":
        """The head to export; a copy when it is spread over several devices."""
        if self.frozen.strategy.num_replicas_in_sync == 1:
            return self.head
        copy = new_head(self.head.input_shape[1], self.head.output_shape[1], 0)
        copy.set_weights(self.head.get_weights())
        return copy

    def _best_head(self, asked: Hyperparameters, sides: Sides) -> "_Head":
        """By val_loss; of equal ones the one that was asked for. Raises `TrainingFailed` when none was learned."""
        found, failures = list[_Head](), list[TrainingFailed]()
        for number, h in enumerate(asked.tried, start=1):
            name = _HEAD if number == 1 else f"sweep-{number}"
            try:
                found.append(self._train_head(h, sides, name))
            except TrainingFailed as failure:
                failures.append(failure)
                self.tried.append(Tried(h.learning_rate, h.label_smoothing, fault=str(failure)))
                continue
            progress = found[-1].progress
            best = progress.history[progress.best_epoch - 1]
            figures = progress.epoch, best["val_loss"], best["val_accuracy"]
            self.tried.append(Tried(h.learning_rate, h.label_smoothing, *figures))
            if asked.sweep or asked.fine_tune_epochs:
                # Whoever goes on after a kill does not train it again.
                self.checkpoints.keep(name, progress)
        if not found:
            raise failures[0]
        return min(found, key=lambda one: one.progress.best_val_loss)

    def _train_head(self, h: Hyperparameters, sides: Sides, name: str) -> "_Head":
        """All begin with the same weights and draw the same: only what is tried differs."""
        head = new_head(sides.train.inputs.shape[1], len(self.frozen.job.labels), h.seed)
        learner = Learner(Network(head), h.learning_rate, self.frozen.strategy)
        phase = Phase(name, 1, h.epochs, h.learning_rate, h.patience)
        return _Head(h, learner, fit(learner, sides, h, phase, self.checkpoints.course(name, self.on_epoch)))

    def _fine_tune(self, h: Hyperparameters) -> "_Answers | None":
        frozen = self.frozen
        log.info("phase fine-tuning: %s after %s, at most %d epochs", h.backbone, frozen.border, h.fine_tune_epochs)
        sides, tail = frozen.activations(), frozen.tail
        course = self.checkpoints.course(FINE_TUNING, self.on_epoch)
        done = fine_tune(self.head, tail, sides, h, course, strategy=frozen.strategy)
        if done is None:
            return None
        return _Answers.of(done, Learner(Network(self.head, tail), h.learning_rate, frozen.strategy), sides)


@dataclass(frozen=True)
class _Head:
    hyperparameters: Hyperparameters
    learner: Learner
    progress: Progress


@dataclass(frozen=True)
class _Answers:
    progress: Progress
    train: Probabilities
    validation: Probabilities
    features: npt.NDArray[np.float32]

    @classmethod
    def of(cls, progress: Progress, learner: Learner, sides: Sides) -> "_Answers":
        inputs = sides.train.inputs
        answers = learner.predict(inputs), learner.predict(sides.validation.inputs)
        return cls(progress, *answers, learner.features(inputs))


def _demand_learned(progress: Progress, h: Hyperparameters, sides: Sides, learner: Learner) -> None:
    targets, weights = sides.validation.targets, row_weights(sides.train.targets, balanced=h.balance_classes)
    learned_shares = np.average(sides.train.targets, axis=0, weights=weights)
    guessing = guessing_loss(targets)
    loss = natural_loss(learner.predict(sides.validation.inputs), targets, learned_shares)
    if learned_nothing(loss, guessing, stopped_early=progress.epoch < h.epochs):
        raise TrainingFailed(
            "plateau",
            f"val_loss {loss:.4f} after {progress.epoch} epochs, {guessing:.4f} by guessing, both at the shares that "
            "the classes have in validation",
        )
