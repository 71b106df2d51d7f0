"""Where the train task runs."""

import os
from typing import Any

from plugins.training_image import demand_by_digest, training_image


def demand_runtime() -> None:
    """Fails the first task of a run whose training could not begin, hours later."""
    if _in_a_pod():
        demand_by_digest(training_image())


def train_task(model_type: str, run_id: str) -> Any:
    """`RETRAIN_TRAINING_RUNTIME=kubernetes` trains in a pod, anything else here. `run_id` may be a template."""
    if _in_a_pod():
        # Loading Kubernetes' client takes a while: only where it is used.
        from plugins.training.pod import train_in_pod

        return train_in_pod(model_type, run_id)
    from plugins.training.local import train_here

    return train_here(model_type, run_id)


def faces_apart(model_type: str, run_id: str) -> list[Any]:
    """What has TensorFlow, before the tasks of a face retraining that have none: where it is here, they do it."""
    if not _in_a_pod():
        return []
    from plugins.training.pod import learn_faces_in_pod

    return [learn_faces_in_pod(model_type, run_id)]


def _in_a_pod() -> bool:
    return os.environ.get("RETRAIN_TRAINING_RUNTIME") == "kubernetes"
