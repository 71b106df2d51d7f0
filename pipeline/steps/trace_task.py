"""From a task to the datasets and models its photo shaped."""

from dataclasses import dataclass

from pipeline.domain.lineage import ROLES, Appearance, runs_of
from pipeline.domain.models import ModelVersion
from pipeline.ports.bundles import Records


@dataclass(frozen=True)
class Use:
    """One run on a dataset that the photo was in; `trained`: a model came of it; `version`: that was registered."""

    appearance: Appearance
    role: str
    run_id: str
    trained: bool
    version: ModelVersion | None


def trace_task(records: Records, task_id: str) -> tuple[Use, ...]:
    """Oldest dataset first, each with every run that was tried on it; empty when no dataset ever had the task."""
    return tuple(
        Use(
            appearance=found,
            role=ROLES[found.split],
            run_id=run_id,
            trained=records.runs.result(run_id) is not None,
            version=records.versions.of_run(run_id),
        )
        for found in records.datasets.appearances(task_id=task_id)
        for run_id in runs_of(found.run_id, records.runs.on(found.dataset_id))
    )
