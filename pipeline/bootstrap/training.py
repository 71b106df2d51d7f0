"""Training, and what is asked of its results."""

import logging
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipeline.bootstrap.data import DataSteps
from pipeline.domain.errors import TrainingInterrupted
from pipeline.domain.events import LABELS
from pipeline.domain.models import ModelType, VersionNumber, next_version
from pipeline.domain.training import Epoch, TrainingResult

log = logging.getLogger(__name__)


class TrainingSteps(DataSteps):
    def train(
        self, run_id: str, dataset_id: str, on_epoch: Callable[[Epoch], None], *, fresh: bool = False, **overrides: Any
    ) -> TrainingResult:
        """Train the run's model; `overrides` replace hyperparameters of the settings, `fresh` forgets earlier tries."""
        from pipeline.steps.train import train

        w = self._w
        dataset = w.datasets.get(dataset_id)
        chosen = {name: value for name, value in overrides.items() if value is not None}
        return train(
            run_id,
            dataset,
            labels=LABELS,
            hyperparameters=replace(w.hyperparameters, **chosen),
            artifact_uri=f"s3://{w.settings.model_bucket}/{dataset.model_type}/{run_id}/",
            trainer=w.trainer,
            experiments=w.experiments,
            runs=w.training_runs,
            outbox=w.outbox,
            clock=w.clock,
            on_epoch=on_epoch,
            fresh=fresh,
            demand_unseen=self._unseen_demand(dataset),
            files=self._dataset_pictures(dataset),
        )

    def blame_memory(self, run_id: str, dataset_id: str, detail: str) -> str | None:
        """The kernel killed this run's training for its memory: what the next try changes, None when none ran."""
        from pipeline.steps.blame_memory import blame_memory

        ended = blame_memory(run_id, dataset_id, detail, runs=self._w.training_runs)
        return ended.change if ended else None

    def training_report(self, model_type: str, result: TrainingResult) -> dict[str, Any]:
        """The specification's result (message 19); `modelVersion` is the number it gets when it is accepted next."""
        latest = self._w.versions.latest(ModelType(model_type))
        number = next_version(
            VersionNumber.parse(latest.version) if latest else None,
            architecture_changed=latest is not None and latest.backbone != result.backbone,
            data_changed=latest is None or latest.dataset_id != result.dataset_id,
        )
        return {
            "run_id": result.run_id,
            "model_type": model_type,
            "modelVersion": str(number),
            "accuracy": result.accuracy,
            "val_accuracy": result.val_accuracy,
            "loss": result.loss,
            "f1_score": result.f1_score,
            "trainingTime": duration(result.training_seconds),
            "epochs_completed": result.epochs_completed,
        }


def end_on_sigterm() -> None:
    """Let SIGTERM end the training in this process with a checkpoint, as `TrainingInterrupted`."""

    def interrupt(number: int, frame: object) -> None:
        # Once is enough: a second signal must not interrupt the writing of the checkpoint.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise TrainingInterrupted("asked to end")

    signal.signal(signal.SIGTERM, interrupt)


def duration(seconds: float) -> str:
    """As the specification writes it: `3h 12m`, and seconds where minutes would say nothing."""
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {seconds % 60:.0f}s"
