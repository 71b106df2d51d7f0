"""What a champion has learned, and what it forgot: by this the next dataset is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.domain.dataset import ConfirmedTask


@dataclass(frozen=True)
class Learned:
    """Corrections confirmed after `through` are new to it, all of them before the first model.

    `said` are its answers, by task, to earlier corrections that it did not learn from: of others nobody knows.
    """

    through: datetime | None = None
    said: Mapping[str, str] = field(default_factory=dict)

    def misses(self, task: ConfirmedTask) -> bool:
        """By what people say of it now: a correction may have been corrected."""
        return self.said.get(task.task_id, task.final_result) != task.final_result
