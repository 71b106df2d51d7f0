"""The result of a training as the specification writes it (message 19)."""

from typing import Any

from pipeline.domain.models import ModelType
from pipeline.domain.training import TrainingResult
from pipeline.ports.bundles import Registration
from pipeline.steps.number_version import number_for


def report_training(registration: Registration, model_type: ModelType, result: TrainingResult) -> dict[str, Any]:
    """`modelVersion` is the number that the model gets when it is the next to be accepted."""
    return {
        "run_id": result.run_id,
        "model_type": model_type,
        "modelVersion": str(number_for(registration, model_type, result)),
        "accuracy": result.accuracy,
        "val_accuracy": result.val_accuracy,
        "loss": result.loss,
        "f1_score": result.f1_score,
        "trainingTime": _duration(result.training_seconds),
        "epochs_completed": result.epochs_completed,
    }


def _duration(seconds: float) -> str:
    """As the specification writes it: `3h 12m`, and seconds where minutes would say nothing."""
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {seconds % 60:.0f}s"
