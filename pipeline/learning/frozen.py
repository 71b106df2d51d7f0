"""What the backbone says of every image, computed once: it learns nothing but, in the second phase, in its tail."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.learning import backbones, features
from pipeline.learning.checkpoints import code_version
from pipeline.learning.features import FULL, Report
from pipeline.learning.fitting import Sides, Split
from pipeline.learning.shards import Images
from pipeline.ports.data import ObjectStore
from pipeline.ports.training import TrainingJob

if TYPE_CHECKING:
    import keras


def cache_key(job: TrainingJob, weights_uri: str | None) -> str:
    """Of what is computed of the dataset here and now; whatever decides its numbers is in it."""
    by = features.computed_by(features.precision(), weights_uri)
    return f"{job.hyperparameters.backbone}-{job.dataset.sha256[:16]}-{code_version()}-{by}"


@dataclass
class Frozen:
    """The job's backbone, spread over the strategy's devices, and the images it looks at."""

    job: TrainingJob
    train: Images
    validation: Images
    objects: ObjectStore
    weights_uri: str | None
    strategy: Any
    report: Report
    backbone: "keras.Model" = field(init=False)

    def __post_init__(self) -> None:
        with self.strategy.scope():
            self.backbone = self._built()

    @property
    def border(self) -> str:
        """The layer after which the tail begins."""
        return backbones.BUILDERS[self.job.hyperparameters.backbone].border

    @property
    def tail(self) -> "keras.Model":
        return backbones.split(self.backbone, self.border)[1]

    def features(self) -> Sides:
        """The backbone's outputs."""
        return self._sides(ArtifactFolder.features, lambda network: network)

    def activations(self) -> Sides:
        """What the tail begins with."""
        return self._sides(ArtifactFolder.activations, lambda network: backbones.split(network, self.border)[0])

    def on_one_device(self) -> "keras.Model":
        """The backbone to export; a copy when it is spread over several devices."""
        if self.strategy.num_replicas_in_sync == 1:
            return self.backbone
        copy = self._built()
        copy.set_weights(self.backbone.get_weights())
        return copy

    def _sides(
        self, cache: Callable[[ArtifactFolder, str], str], part: "Callable[[keras.Model], keras.Model]"
    ) -> Sides:
        """Outputs of `part` for both splits, computed once for the same dataset and whatever they are computed by."""
        precision, key = features.precision(), cache_key(self.job, self.weights_uri)
        found = features.extract(
            lambda: part(self.backbone if precision == FULL else self._built(precision)),
            self.strategy,
            {"train": self.train.images, "validation": self.validation.images},
            batch_size=self.job.hyperparameters.batch_size,
            kept=features.KeptParts(
                self.objects, cache(ArtifactFolder(self.job.artifact_uri), key), self.job.forget_erased
            ),
            report=self.report,
        )
        one_hot = np.eye(len(self.job.labels), dtype=np.float32)
        return Sides(Split(found[0], one_hot[self.train.labels]), Split(found[1], one_hot[self.validation.labels]))

    def _built(self, precision: str = FULL) -> "keras.Model":
        return backbones.build(self.job.hyperparameters.backbone, self.objects, self.weights_uri, precision)
