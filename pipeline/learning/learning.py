"""Two phases: the head on cached features, then perhaps the backbone's last block on cached activations."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.errors import TrainingFailed
from pipeline.domain.training import Epoch, learned_nothing
from pipeline.learning import backbones, features
from pipeline.learning.checkpoints import Checkpoints, code_version
from pipeline.learning.devices import has_gpu
from pipeline.learning.features import Report
from pipeline.learning.fine_tuning import NAME as FINE_TUNING
from pipeline.learning.fine_tuning import fine_tune
from pipeline.learning.fitting import Phase, Progress, Split, fit
from pipeline.learning.learner import Learner
from pipeline.learning.measures import Probabilities, guessing_loss
from pipeline.learning.network import Network, new_head, split
from pipeline.learning.shards import Images
from pipeline.ports.data import ObjectStore
from pipeline.ports.training import TrainingJob

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

_HEAD = "head"
# GPUs are fastest in this precision. Only the frozen backbone runs in it: what is trained keeps full precision.
_GPU_PRECISION = "mixed_float16"


@dataclass(frozen=True)
class Learned:
    """Probabilities and one-hot targets of both splits; one history a phase, the epoch of the best weights in each."""

    train: tuple[Probabilities, Probabilities]
    validation: tuple[Probabilities, Probabilities]
    histories: Mapping[str, tuple[dict[str, float], ...]]
    best_epochs: Mapping[str, int]
    fine_tuned: bool


@dataclass
class Learning:
    """One attempt's learning; `run` makes `backbone` and `head`."""

    job: TrainingJob
    train: Images
    validation: Images
    objects: ObjectStore
    weights_uri: str | None
    strategy: Any
    checkpoints: Checkpoints
    on_epoch: Callable[[Epoch], None]

    def run(self, report: Report) -> Learned:
        """Raises `TrainingFailed` with cause `diverged` or `plateau`."""
        h = self.job.hyperparameters
        with self.strategy.scope():
            self.backbone = self._backbone()
            log.info("phase features: %s, once over every image", h.backbone)
            train, validation = self._sides(ArtifactFolder.features, lambda network: network, report)
            log.info("phase head: at most %d epochs on %d images", h.epochs, len(train.inputs))
            self.head = new_head(train.inputs.shape[1], len(self.job.labels), h.seed)
            learner = Learner(Network(self.head), h.learning_rate, self.strategy)
            progress = fit(
                learner,
                train,
                validation,
                h,
                Phase(_HEAD, 1, h.epochs, h.learning_rate, h.patience),
                progress=self.checkpoints.of(_HEAD),
                keep=lambda p: self.checkpoints.keep(_HEAD, p),
                on_epoch=self.on_epoch,
            )
            _demand_learned(progress, h.epochs, validation.targets)
            phases, fine_tuned = {_HEAD: progress}, None
            if h.fine_tune_epochs:
                self.checkpoints.keep(_HEAD, progress)
                fine_tuned = self._fine_tune(report)
                if fine_tuned:
                    phases[FINE_TUNING] = fine_tuned.progress
            answers = fine_tuned or _Answers(
                progress, learner.predict(train.inputs), learner.predict(validation.inputs)
            )
        return Learned(
            (answers.train, train.targets),
            (answers.validation, validation.targets),
            {name: p.history for name, p in phases.items()},
            {name: p.best_epoch for name, p in phases.items()},
            fine_tuned is not None,
        )

    def on_one_device(self) -> "tuple[keras.Model, keras.Model]":
        """Backbone and head to export; copies when they are spread over several devices."""
        if self.strategy.num_replicas_in_sync == 1:
            return self.backbone, self.head
        backbone, head = self._backbone(), new_head(self.head.input_shape[1], len(self.job.labels), 0)
        backbone.set_weights(self.backbone.get_weights())
        head.set_weights(self.head.get_weights())
        return backbone, head

    def _fine_tune(self, report: Report) -> "_Answers | None":
        h = self.job.hyperparameters
        border = backbones.BUILDERS[h.backbone].border
        log.info("phase fine-tuning: %s after %s, at most %d epochs", h.backbone, border, h.fine_tune_epochs)
        train, validation = self._sides(ArtifactFolder.activations, lambda network: split(network, border)[0], report)
        _, tail = split(self.backbone, border)
        done = fine_tune(
            self.head,
            tail,
            train,
            validation,
            h,
            strategy=self.strategy,
            progress=self.checkpoints.of(FINE_TUNING),
            keep=lambda p: self.checkpoints.keep(FINE_TUNING, p),
            on_epoch=self.on_epoch,
        )
        if done is None:
            return None
        learner = Learner(Network(self.head, tail), h.learning_rate, self.strategy)
        return _Answers(done, learner.predict(train.inputs), learner.predict(validation.inputs))

    def _sides(
        self,
        cache: Callable[[ArtifactFolder, str], str],
        part: "Callable[[keras.Model], keras.Model]",
        report: Report,
    ) -> tuple[Split, Split]:
        """Outputs of the frozen part for both splits, computed once for the same dataset, backbone and code."""

        def compute() -> list[npt.NDArray[np.floating]]:
            network = part(self._backbone(_GPU_PRECISION) if has_gpu() else self.backbone)
            return features.extract(
                network,
                self.strategy,
                {"train": self.train.images, "validation": self.validation.images},
                batch_size=self.job.hyperparameters.batch_size,
                report=report,
            )

        key = f"{self.job.hyperparameters.backbone}-{self.job.dataset.sha256[:16]}-{code_version()}"
        found = features.cached(self.objects, cache(ArtifactFolder(self.job.artifact_uri), key), compute)
        one_hot = np.eye(len(self.job.labels), dtype=np.float32)
        return Split(found[0], one_hot[self.train.labels]), Split(found[1], one_hot[self.validation.labels])

    def _backbone(self, precision: str = "float32") -> "keras.Model":
        return backbones.build(self.job.hyperparameters.backbone, self.objects, self.weights_uri, precision)


@dataclass(frozen=True)
class _Answers:
    progress: Progress
    train: Probabilities
    validation: Probabilities


def _demand_learned(progress: Progress, epochs: int, targets: Probabilities) -> None:
    guessing = guessing_loss(targets)
    if learned_nothing(progress.best_val_loss, guessing, stopped_early=progress.epoch < epochs):
        raise TrainingFailed(
            "plateau",
            f"val_loss {progress.best_val_loss:.4f} after {progress.epoch} epochs, {guessing:.4f} by guessing",
        )
