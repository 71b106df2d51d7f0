"""Builders of domain values: only what a test cares about is named there."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.domain.blessing import Blessing
from pipeline.domain.checks import Check, Outcome, PerformanceMeasurement, Prediction
from pipeline.domain.dataset import ConfirmedTask, Dataset, Photo, Source, Split
from pipeline.domain.events import TaskConfirmedEvent
from pipeline.domain.faces.confirmations import FaceConfirmation
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.faces.identities import ConfirmedCheck
from pipeline.domain.models import Artifact, ModelType, ModelVersion
from pipeline.domain.retraining import Asker, Backlog
from pipeline.domain.training import ClassFigures, Hyperparameters, TrainingResult
from pipeline.domain.withholding import Scope, Withheld

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
BUCKETS = frozenset({"tasks"})


def event_fields(**changes: Any) -> dict[str, Any]:
    """The specification's example; a value of `...` removes the field."""
    fields = {
        "eventType": "TaskConfirmedEvent",
        "taskId": "TASK-12345",
        "helperId": "HELPER-001",
        "finalResult": "양호",
        "aiResult": "불량",
        "corrected": True,
        "correctionReason": "AI가 놓친 얼룩",
        "photoUrl": "s3://tasks/TASK-12345.jpg",
        "timestamp": "2026-05-04T11:30:00Z",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def event_body(**changes: Any) -> bytes:
    return json.dumps(event_fields(**changes), ensure_ascii=False).encode()


def an_event(key: str = "event-1", **changes: Any) -> TaskConfirmedEvent:
    """Every key is a task of its own, with a photo of its own."""
    values: dict[str, Any] = {
        "key": key,
        "task_id": f"TASK-{key}",
        "helper_id": "HELPER-001",
        "ai_result": "불량",
        "final_result": "양호",
        "corrected": True,
        "correction_reason": None,
        "photo_url": f"s3://tasks/TASK-{key}.jpg",
        "confirmed_at": NOW,
        **changes,
    }
    return TaskConfirmedEvent(**values)


def face_fields(**changes: Any) -> dict[str, Any]:
    """A person's word on a check at a door; a value of `...` removes the field."""
    of_faces = {
        "modelType": "FACE",
        "finalResult": "different",
        "aiResult": "same",
        "modelVersion": "v1.0.0",
        "identity": "kim",
        "claimedIdentity": "kim",
        "score": 0.75,
        "threshold": 0.5,
    }
    return event_fields(**{**of_faces, **changes})


def face_body(**changes: Any) -> bytes:
    return json.dumps(face_fields(**changes), ensure_ascii=False).encode()


def a_face_confirmation(key: str = "1", name: str = "kim", **changes: Any) -> FaceConfirmation:
    """Somebody was let in, and rightly; every key is a check of its own."""
    values: dict[str, Any] = {
        "key": key,
        "check_id": f"CHECK-{key}",
        "door_id": "DOOR-1",
        "person": person_key(name),
        "claimed": True,
        "ai_result": "same",
        "final_result": "same",
        "correction_reason": None,
        "photo_url": f"s3://tasks/CHECK-{key}.jpg",
        "confirmed_at": NOW,
        "model_version": "v1.0.0",
        "score": 0.75,
        "threshold": 0.5,
        **changes,
    }
    return FaceConfirmation(**values)


def a_check(number: int, identity: str = "kim", **changes: Any) -> ConfirmedCheck:
    """Somebody was let in and said to be who they are, a minute after the check before; each by another confirmer."""
    values: dict[str, Any] = {
        "photo_url": f"s3://tasks/C-{number:04d}.jpg",
        "branch": "강남점",
        "taken_at": NOW + timedelta(minutes=number),
        "confirmed_at": NOW + timedelta(minutes=number, seconds=30),
        "confirmed_by": f"reviewer-{number}",
        "same": True,
        "corrects": False,
        **changes,
    }
    return ConfirmedCheck(f"C-{number:04d}", identity, **values)


def a_withheld(scope: Scope, name: str, **changes: Any) -> Withheld:
    values: dict[str, Any] = {"id": f"{scope}-{name}", "periods": (), "actor": "kim", "reason": "guessed", "at": NOW}
    return Withheld(scope=scope, name=name, **{**values, **changes})


def a_task(number: int, *, corrected: bool = False, label: str = "양호", **changes: Any) -> ConfirmedTask:
    other = "불량" if label == "양호" else "양호"
    values: dict[str, Any] = {
        "task_id": f"TASK-{number:05d}",
        "photo_url": f"s3://tasks/TASK-{number:05d}.jpg",
        "ai_result": other if corrected else label,
        "final_result": label,
        "corrected": corrected,
        "correction_reason": "AI가 놓친 얼룩" if corrected else None,
        "confirmed_at": NOW - timedelta(minutes=number),
        **changes,
    }
    return ConfirmedTask(**values)


def a_photo(number: int, *, split: Split = Split.TRAIN, label: str = "양호", **changes: Any) -> Photo:
    values: dict[str, Any] = {
        "task_id": f"TASK-{number:05d}",
        "photo_url": f"s3://tasks/TASK-{number:05d}.jpg",
        "sha256": f"{number:012x}".ljust(64, "0"),
        "phash": f"{number:016x}",
        "cluster_id": f"{number:016x}",
        "label": label,
        "corrected": False,
        "source": Source.EVALUATION,
        "split": split,
        "confirmed_at": NOW.isoformat(),
        "width": 640,
        "height": 480,
        "brightness": 0.5,
        **changes,
    }
    return Photo(**values)


def an_asker(**changes: Any) -> Asker:
    return Asker(**{"by": "the night", **changes})


def a_backlog(**changes: Any) -> Backlog:
    values: dict[str, Any] = {
        "corrections": 150,
        "since_last_try": 150,
        "last_trained_at": NOW - timedelta(days=8),
        **changes,
    }
    return Backlog(**values)


def a_dataset(**changes: Any) -> Dataset:
    values: dict[str, Any] = {
        "id": "DS-2026-001",
        "run_id": "run-1",
        "model_type": "LAUNDRY",
        "uri": "s3://datasets/DS-2026-001/",
        "sha256": "d" * 64,
        "photo_count": 200,
        "image_count": 640,
        "train_count": 600,
        "validation_count": 40,
        "holdout_count": 40,
        "corrections": 100,
        "corrections_through": NOW,
        **changes,
    }
    return Dataset(**values)


_ENGINES = {"openvino": "openvino/model.xml", "onnxruntime": "onnx/model.onnx"}
MANIFEST = json.dumps(
    {"input_pixels": 224, "labels": ["양호", "불량"], "feature_width": 2048, "engines": _ENGINES}
).encode()
MANIFEST_SHA256 = hashlib.sha256(MANIFEST).hexdigest()


def a_training_result(run_id: str = "run-1", **changes: Any) -> TrainingResult:
    values: dict[str, Any] = {
        "run_id": run_id,
        "dataset_id": "DS-2026-001",
        "backbone": "ResNet50",
        "artifact_uri": f"s3://models/LAUNDRY/{run_id}/",
        "manifest_sha256": MANIFEST_SHA256,
        "accuracy": 0.95,
        "val_accuracy": 0.93,
        "loss": 0.15,
        "val_loss": 0.2,
        "f1_score": 0.94,
        "auc": 0.98,
        "confusion": ((50, 2), (3, 45)),
        "epochs_completed": 42,
        "training_seconds": 12.5,
        "trained_at": NOW,
        "hyperparameters": Hyperparameters(),
        "experiment_run_id": "mlflow-1",
        "per_class": (ClassFigures("양호", 0.94, 0.96, 0.95, 52), ClassFigures("불량", 0.96, 0.94, 0.95, 48)),
        "ece": 0.02,
        **changes,
    }
    return TrainingResult(**values)


def a_model_version(version: str = "v1.0.0", **changes: Any) -> ModelVersion:
    run_id = changes.get("run_id", f"run-of-{version}")
    values: dict[str, Any] = {
        "version": version,
        "model_type": ModelType.LAUNDRY,
        "run_id": run_id,
        "dataset_id": "DS-2026-001",
        "backbone": "ResNet50",
        "artifact": Artifact(f"s3://models/LAUNDRY/{run_id}/", "a" * 64),
        "accuracy": 0.95,
        "val_accuracy": 0.93,
        "trained_at": NOW,
        **changes,
    }
    return ModelVersion(**values)


def predictions(right: int, wrong: int, *, label: str = "양호", start: int = 0) -> tuple[Prediction, ...]:
    other = "불량" if label == "양호" else "양호"
    return tuple(
        Prediction(f"TASK-{start + i:05d}", label, label if i < right else other) for i in range(right + wrong)
    )


def a_performance(**changes: Any) -> PerformanceMeasurement:
    values: dict[str, Any] = {
        "mean_latency_ms": 20.0,
        "p95_latency_ms": 40.0,
        "throughput_per_second": 120.0,
        "memory_bytes": 500_000_000,
        "gpu_utilization": None,
        "requests": 1000,
        **changes,
    }
    return PerformanceMeasurement(**values)


def a_validation(accuracy: float = 0.94) -> Check:
    """The check whose value is the accuracy of a model."""
    reason = f"validation_accuracy {accuracy:g}, ≥ 0.9 needed (n=200)"
    return Check("validation_accuracy", Outcome.PASSED, accuracy, 0.9, 200, reason)


def a_holdout(accuracy: float | None = 0.94, photos: int = 200) -> Check:
    """The check that says what a model promised."""
    reason = f"holdout_accuracy {accuracy}, ≥ 0.88 needed (n={photos})"
    return Check("holdout_accuracy", Outcome.PASSED, accuracy, 0.88, photos, reason)


def a_blessing(run_id: str = "run-1", **changes: Any) -> Blessing:
    values: dict[str, Any] = {
        "id": f"blessing:{run_id}",
        "run_id": run_id,
        "model_type": "LAUNDRY",
        "accepted": True,
        "reasons": (),
        "checks": (a_validation(),),
        "champion_version": None,
        "first_model": True,
        "artifact_manifest_sha256": MANIFEST_SHA256,
        "dataset_sha256": "d" * 64,
        "thresholds_sha256": "t" * 64,
        "report_uri": f"s3://models/LAUNDRY/{run_id}/verification-report.json",
        "decided_at": NOW,
        **changes,
    }
    return Blessing(**values)
