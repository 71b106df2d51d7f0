"""KerasTrainer: one training attempt, from shards to artifact (specification, messages 18-19)."""

import hashlib
import json
import logging
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.domain.errors import DatasetRefused, TrainingFailed
from pipeline.domain.training import MIN_PHOTOS_PER_CLASS, Epoch, TrainingResult
from pipeline.learning import backbones, features, head, pictures
from pipeline.learning.export import Identity, Samples, export
from pipeline.learning.shards import Images, task_ids, unpack
from pipeline.ports import Experiment, ObjectStore, TrainingJob

log = logging.getLogger(__name__)

_GOLDEN_IMAGES = 16
_DEFECTIVE = 1


class KerasTrainer:
    """`memory_mb` limits the process's data, so that a training that asks for too much fails alone."""

    def __init__(
        self,
        objects: ObjectStore,
        *,
        weights_uri: str | None = None,
        memory_mb: int | None = None,
        formats: Sequence[str] = ("int8", "onnx"),
        signing_key: Path | None = None,
    ) -> None:
        self._objects = objects
        self._signing_key = signing_key
        self._formats = tuple(formats)
        self._weights_uri = weights_uri
        self._memory_mb = memory_mb

    def train(self, job: TrainingJob, on_epoch: Callable[[Epoch], None], experiment: Experiment) -> TrainingResult:
        import tensorflow as tf

        if self._memory_mb:
            limit = self._memory_mb * 1024 * 1024
            resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
        try:
            return self._train(job, on_epoch, experiment)
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            raise TrainingFailed("out_of_memory", str(error)[:300] or type(error).__name__) from error

    def _train(self, job: TrainingJob, on_epoch: Callable[[Epoch], None], experiment: Experiment) -> TrainingResult:
        started = time.monotonic()
        train, validation = self._load(job)
        _demand_enough(train, validation, job.labels)
        backbone = backbones.build(job.hyperparameters.backbone, self._objects, self._weights_uri)
        cache = f"{job.artifact_uri}features/{job.hyperparameters.backbone}-{job.dataset.sha256[:16]}.npz"
        found = features.cached(self._objects, cache, backbone, train, validation)
        sides = [
            head.Split(side, np.eye(len(job.labels), dtype=np.float32)[images.labels])
            for side, images in zip(found, (train, validation), strict=True)
        ]
        classifier, progress = self._fit(job, sides[0], sides[1], on_epoch)
        identity = Identity(
            job.dataset.model_type, job.hyperparameters.backbone, job.labels, job.run_id, job.dataset.id
        )
        golden = validation.images[:: max(1, len(validation.images) // _GOLDEN_IMAGES)][:_GOLDEN_IMAGES]
        self._remember(job, classifier, sides[1], validation.task_ids)
        log.info("exporting the model, also as %s", ", ".join(self._formats) or "nothing else")
        manifest_sha256 = export(
            backbone,
            classifier,
            identity,
            Samples(golden, train.images, validation),
            objects=self._objects,
            uri=job.artifact_uri,
            formats=self._formats,
            signing_key=self._signing_key,
        )
        measured = _measure(classifier, sides[0], sides[1])
        experiment.log_file("curves.png", pictures.curves(progress.history, progress.best_epoch))
        experiment.log_file("confusion-matrix.png", pictures.confusion_matrix(measured["confusion"], job.labels))
        return TrainingResult(
            run_id=job.run_id,
            dataset_id=job.dataset.id,
            backbone=job.hyperparameters.backbone,
            artifact_uri=job.artifact_uri,
            manifest_sha256=manifest_sha256,
            epochs_completed=progress.epoch,
            training_seconds=round(time.monotonic() - started, 2),
            trained_at=datetime.now(UTC),
            hyperparameters=job.hyperparameters,
            **measured,
        )

    def _remember(self, job: TrainingJob, classifier: Any, validation: head.Split, task_ids: Sequence[str]) -> None:
        """What the trainer itself says of each validation photo; verification asks the server the same."""
        answers = classifier.predict(validation.features, verbose=0).argmax(1)
        said = {task_id: job.labels[answer] for task_id, answer in zip(task_ids, answers, strict=True)}
        body = json.dumps(said, ensure_ascii=False).encode()
        self._objects.write(f"{job.artifact_uri}trainer-predictions.json", body, "application/json")

    def _fit(
        self, job: TrainingJob, train: head.Split, validation: head.Split, on_epoch: Callable[[Epoch], None]
    ) -> tuple[Any, head.Progress]:
        belongs_to = hashlib.sha256(
            json.dumps([job.dataset.sha256, asdict(job.hyperparameters)], sort_keys=True).encode()
        ).hexdigest()
        uri = f"{job.checkpoint_uri}checkpoint.npz"
        classifier = head.new_head(train.features.shape[1], len(job.labels), job.hyperparameters)
        progress = None
        if self._objects.exists(uri):
            progress = head.resume(classifier, self._objects.read(uri), belongs_to)
            log.info(
                "checkpoint %s: %s",
                uri,
                f"resuming after epoch {progress.epoch}" if progress else "of another training",
            )
        finished = head.fit(
            classifier,
            train,
            validation,
            job.hyperparameters,
            progress=progress or head.Progress(),
            checkpoint=lambda p: self._objects.write(uri, head.save(classifier, p, belongs_to)),
            on_epoch=on_epoch,
        )
        return classifier, finished

    def _load(self, job: TrainingJob) -> tuple[Images, Images]:
        """Both splits, every byte checked against the hashes that were recorded with the dataset."""
        index_body = self._read(f"{job.dataset.uri}dataset.json", job.dataset.sha256)
        index = json.loads(index_body)
        sides = [[self._read(s["uri"], s["sha256"]) for s in index[split]] for split in ("train", "validation")]
        job.demand_unseen(task_ids(sides[0]))
        return unpack(sides[0]), unpack(sides[1])

    def _read(self, uri: str, sha256: str) -> bytes:
        try:
            body = self._objects.read(uri)
        except KeyError:
            raise DatasetRefused(f"{uri} is missing: augment and assemble the dataset again") from None
        if hashlib.sha256(body).hexdigest() != sha256:
            raise DatasetRefused(f"{uri} is not what was recorded (sha256 differs): it was changed after augmenting")
        return body


def _demand_enough(train: Images, validation: Images, labels: tuple[str, ...]) -> None:
    for index, label in enumerate(labels):
        count = int((train.labels == index).sum())
        if count < MIN_PHOTOS_PER_CLASS:
            raise TrainingFailed(
                "too_little_data", f"{count} training images are {label}, {MIN_PHOTOS_PER_CLASS} needed"
            )
    if not len(validation.labels):
        raise TrainingFailed("too_little_data", "no validation images")


def _measure(classifier: Any, train: head.Split, validation: head.Split) -> dict[str, Any]:
    """Figures of the trained head; probabilities are compared with the confirmed labels of each split."""
    from sklearn import metrics

    loss, accuracy = classifier.evaluate(train.features, train.targets, verbose=0)
    val_loss, val_accuracy = classifier.evaluate(validation.features, validation.targets, verbose=0)
    probabilities: npt.NDArray[np.float32] = classifier.predict(validation.features, verbose=0)
    truth, predicted = validation.targets.argmax(1), probabilities.argmax(1)
    labels = list(range(validation.targets.shape[1]))
    both = len(set(truth.tolist())) > 1
    return {
        "accuracy": float(accuracy),
        "val_accuracy": float(val_accuracy),
        "loss": float(loss),
        "val_loss": float(val_loss),
        "f1_score": float(metrics.f1_score(truth, predicted, labels=labels, average="macro", zero_division=0)),
        "auc": float(metrics.roc_auc_score(truth == _DEFECTIVE, probabilities[:, _DEFECTIVE])) if both else 0.0,
        "confusion": tuple(tuple(row) for row in metrics.confusion_matrix(truth, predicted, labels=labels).tolist()),
    }
