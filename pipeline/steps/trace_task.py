"""From a task to the datasets and models its photo shaped."""

from dataclasses import dataclass

from pipeline.domain.lineage import ROLES, Appearance
from pipeline.domain.models import ModelVersion
from pipeline.ports.bundles import Records


@dataclass(frozen=True)
class Use:
    """One dataset the photo was in; `trained`: a training came of it; `version`: that was registered."""

    appearance: Appearance
    role: str
    trained: bool
    version: ModelVersion | None


def trace_task(task_id: str, records: Records) -> tuple[Use, ...]:
    """Oldest dataset first; empty when no dataset ever had the task."""
    return tuple(
        Use(
            appearance=found,
            role=ROLES[found.split],
            trained=records.runs.result(found.run_id) is not None,
            version=records.versions.of_run(found.run_id),
        )
        for found in records.datasets.appearances(task_id=task_id)
    )
