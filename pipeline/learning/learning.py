"""Two phases: the head on cached features, then perhaps the backbone's last block on cached activations."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.domain.errors import TrainingFailed
from pipeline.domain.training import Epoch, Hyperparameters, learned_nothing
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

    `features` [N, width] are what the head sees of the training images.
    """

    train: tuple[Probabilities, Probabilities]
    validation: tuple[Probabilities, Probabilities]
    histories: Mapping[str, tuple[dict[str, float], ...]]
    best_epochs: Mapping[str, int]
    fine_tuned: bool
    features: npt.NDArray[np.float32]


@dataclass
class Learning:
    """One attempt's learning; `run` makes the head."""

    frozen: Frozen
    checkpoints: Checkpoints
    on_epoch: Callable[[Epoch], None]

    def run(self) -> Learned:
        """Raises `TrainingFailed` with cause `diverged` or `plateau`."""
        job = self.frozen.job
        h = job.hyperparameters
        with self.frozen.strategy.scope():
            log.info("phase features: %s, once over every image", h.backbone)
            sides = self.frozen.features()
            log.info("phase head: at most %d epochs on %d images", h.epochs, len(sides.train.inputs))
            self.head = new_head(sides.train.inputs.shape[1], len(job.labels), h.seed)
            learner = Learner(Network(self.head), h.learning_rate, self.frozen.strategy)
            phase = Phase(_HEAD, 1, h.epochs, h.learning_rate, h.patience)
            progress = fit(learner, sides, h, phase, self.checkpoints.course(_HEAD, self.on_epoch))
            _demand_learned(progress, h, sides, learner)
            phases, fine_tuned = {_HEAD: progress}, None
            if h.fine_tune_epochs:
                self.checkpoints.keep(_HEAD, progress)
                fine_tuned = self._fine_tune()
                if fine_tuned:
                    phases[FINE_TUNING] = fine_tuned.progress
            answers = fine_tuned or _Answers.of(progress, learner, sides)
        return Learned(
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

    def _fine_tune(self) -> "_Answers | None":
        h, frozen = self.frozen.job.hyperparameters, self.frozen
        log.info("phase fine-tuning: %s after %s, at most %d epochs", h.backbone, frozen.border, h.fine_tune_epochs)
        sides, tail = frozen.activations(), frozen.tail
        course = self.checkpoints.course(FINE_TUNING, self.on_epoch)
        done = fine_tune(self.head, tail, sides, h, course, strategy=frozen.strategy)
        if done is None:
            return None
        return _Answers.of(done, Learner(Network(self.head, tail), h.learning_rate, frozen.strategy), sides)


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
