"""KerasTrainer: one training attempt, from shards to artifact (specification, messages 18-19)."""

import errno
import json
import logging
import os
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.errors import ServiceUnavailable, TrainingFailed
from pipeline.domain.training import Epoch, Hyperparameters, TrainingResult, Tried
from pipeline.learning import measures, memory, pictures, reasons
from pipeline.learning.checkpoints import Checkpoints
from pipeline.learning.devices import strategy
from pipeline.learning.export import Destination, Identity, Samples, Trained, export
from pipeline.learning.frozen import Frozen
from pipeline.learning.learning import Learning
from pipeline.learning.training_images import training_images
from pipeline.ports.data import ObjectStore
from pipeline.ports.training import Experiment, TrainingJob

log = logging.getLogger(__name__)

_NO_SPACE = os.strerror(errno.ENOSPC)


class KerasTrainer:
    """`memory_mb` limits the process's memory, so that a training that needs too much harms no other process.

    `devices` are those to train on, as TensorFlow names them; empty for all GPUs, or the processor.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        weights_uri: str | None = None,
        memory_mb: int | None = None,
        formats: Sequence[str] = ("int8", "onnx"),
        signing_key: Path | None = None,
        devices: Sequence[str] = (),
    ) -> None:
        self._devices = tuple(devices)
        self._objects = objects
        self._signing_key = signing_key
        self._formats = tuple(formats)
        self._weights_uri = weights_uri
        self._memory_mb = memory_mb

    def train(self, job: TrainingJob, on_epoch: Callable[[Epoch], None], experiment: Experiment) -> TrainingResult:
        if self._memory_mb:
            limit = self._memory_mb * 1024 * 1024
            resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
        try:
            return self._train(job, on_epoch, experiment)
        except Exception as error:
            lacked = memory.lacked(error)
            # TensorFlow raises the same error for lack of memory and lack of disk.
            if _NO_SPACE in str(error) and (lacked or isinstance(error, OSError)):
                raise ServiceUnavailable(
                    "the local disk", f"it is full ({str(error)[:300]}): free some of it"
                ) from error
            if not lacked:
                raise
            raise TrainingFailed("out_of_memory", str(error)[:300] or type(error).__name__) from error

    def _train(self, job: TrainingJob, on_epoch: Callable[[Epoch], None], experiment: Experiment) -> TrainingResult:
        started = time.monotonic()
        checkpoints = Checkpoints(self._objects, job)
        checkpoints.open()
        train, validation = training_images(job, self._objects)
        frozen = Frozen(
            job,
            train,
            validation,
            self._objects,
            self._weights_uri,
            strategy(self._devices),
            report=lambda what, done, of: experiment.log_metrics({f"features.{what}": done}, step=done),
        )
        learning = Learning(frozen, checkpoints, on_epoch)
        found = learning.run()
        if job.hyperparameters.sweep:
            _record(learning.tried, found.hyperparameters, experiment)
        identity = Identity(
            job.dataset.model_type, job.hyperparameters.backbone, job.labels, job.run_id, job.dataset.id
        )
        self._remember(job, found.validation[0].argmax(1), validation.task_ids)
        log.info("exporting the model, also as %s", ", ".join(self._formats) or "nothing else")
        suggested = reasons.learn(found.features, train.task_ids, job.reasons)
        experiment.log_file("reasons.json", reasons.report(suggested, job.reasons))
        manifest_sha256 = export(
            Trained(frozen.on_one_device(), learning.head_on_one_device(), suggested),
            identity,
            Samples(train.images, validation),
            Destination(self._objects, job.artifact_uri, self._signing_key),
            formats=self._formats,
        )
        measured = measures.figures(found.train, found.validation, job.labels)
        for name, picture in pictures.of_training(found, measured["confusion"], job.labels).items():
            experiment.log_file(name, picture)
        return TrainingResult(
            run_id=job.run_id,
            dataset_id=job.dataset.id,
            backbone=job.hyperparameters.backbone,
            artifact_uri=job.artifact_uri,
            manifest_sha256=manifest_sha256,
            epochs_completed=len(found.histories["head"]),
            training_seconds=round(time.monotonic() - started, 2),
            trained_at=datetime.now(UTC),
            hyperparameters=found.hyperparameters,
            fine_tuned=found.fine_tuned,
            peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            **measured,
        )

    def _remember(self, job: TrainingJob, answers: Iterable[int], task_ids: Sequence[str]) -> None:
        """The trainer's own answer for each validation photo, for verification to compare with the server's."""
        said = {task_id: job.labels[answer] for task_id, answer in zip(task_ids, answers, strict=True)}
        body = json.dumps(said, ensure_ascii=False).encode()
        self._objects.write(ArtifactFolder(job.artifact_uri).trainer_predictions, body, "application/json")


def _record(tried: Sequence[Tried], chosen: Hyperparameters, experiment: Experiment) -> None:
    """What a sweep tried, for people; each one's epochs are in the experiment under its phase."""
    experiment.log_file("sweep.json", json.dumps([asdict(one) for one in tried]).encode())
    names = ("learning_rate", "label_smoothing")
    experiment.log_parameters({f"swept_{name}": str(getattr(chosen, name)) for name in names})
