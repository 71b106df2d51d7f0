"""From a task to the datasets and models its photo shaped."""

from dataclasses import dataclass

from pipeline.domain.lineage import ROLES, Appearance
from pipeline.domain.models import ModelVersion
from pipeline.ports.data import Datasets
from pipeline.ports.deployment import ModelVersions
from pipeline.ports.training import TrainingRuns


@dataclass(frozen=True)
class Use:
    """One dataset the photo was in; `trained`: a training came of it; `version`: that was registered."""

    appearance: Appearance
    role: str
    trained: bool
    version: ModelVersion | None


def trace_task(task_id: str, *, datasets: Datasets, runs: TrainingRuns, versions: ModelVersions) -> tuple[Use, ...]:
    """Oldest dataset first; empty when no dataset ever had the task."""
    return tuple(
        Use(
            appearance=found,
            role=ROLES[found.split],
            trained=runs.result(found.run_id) is not None,
            version=versions.of_run(found.run_id),
        )
        for found in datasets.appearances(task_id=task_id)
    )
