"""Labelled photos in place of the Helper database: all of them are drawn, and none is a correction."""

from collections.abc import Sequence
from datetime import datetime

from pipeline.domain.dataset import ConfirmedTask


class LabelledTasks:
    def __init__(self, tasks: Sequence[ConfirmedTask]) -> None:
        self._tasks = tasks

    def corrections(self, *, since: datetime | None, limit: int) -> Sequence[ConfirmedTask]:
        return ()

    def earlier_corrections(self, *, until: datetime, limit: int) -> Sequence[ConfirmedTask]:
        return ()

    def history(self, *, limit: int) -> Sequence[ConfirmedTask]:
        return ()

    def confirmed(self, *, limit: int) -> Sequence[ConfirmedTask]:
        return self._tasks[:limit]

    def tasks(self, task_ids: Sequence[str]) -> Sequence[ConfirmedTask]:
        return [task for task in self._tasks if task.task_id in set(task_ids)]
