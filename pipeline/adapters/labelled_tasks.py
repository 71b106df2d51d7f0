"""Labelled photos in place of the Helper database: all of them are drawn; later, some beside it."""

from collections.abc import Sequence
from datetime import datetime

from pipeline.domain.checksums import sha256
from pipeline.domain.dataset import FIRST, ConfirmedTask, Split
from pipeline.domain.labelled_photos import LabelledPhoto
from pipeline.domain.lineage import Appearance
from pipeline.domain.models import ModelType
from pipeline.ports.data import CorrectionSource, Datasets


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


class AndFirstPhotos:
    """The Helper database together with the first model's photos, which are learned from and judged on again.

    Without confirmed tasks in the database nothing is learned.
    """

    def __init__(self, helper: CorrectionSource, datasets: Datasets, model_type: ModelType) -> None:
        self._helper, self._datasets, self._model_type = helper, datasets, model_type

    def corrections(self, *, since: datetime | None, limit: int) -> Sequence[ConfirmedTask]:
        return self._helper.corrections(since=since, limit=limit)

    def earlier_corrections(self, *, until: datetime, limit: int) -> Sequence[ConfirmedTask]:
        return self._helper.earlier_corrections(until=until, limit=limit)

    def confirmed(self, *, limit: int) -> Sequence[ConfirmedTask]:
        return self._helper.confirmed(limit=limit)

    def history(self, *, limit: int) -> Sequence[ConfirmedTask]:
        """At most `limit` tasks in all, spread by hash as those of the database. Of the first photos only those that
        were learned from: how many of each label somebody had says nothing about how often branches see one.
        """
        learned = [one for one in self._first if one.split is Split.TRAIN]
        return sorted([*self._helper.history(limit=limit), *map(_as_task, learned)], key=_by_hash)[:limit]

    def tasks(self, task_ids: Sequence[str]) -> Sequence[ConfirmedTask]:
        asked = set(task_ids)
        return [*self._helper.tasks(task_ids), *(_as_task(one) for one in self._first if one.task_id in asked)]

    @property
    def _first(self) -> Sequence[Appearance]:
        return self._datasets.first_photos(self._model_type) if self._helper.confirmed(limit=1) else ()


def _as_task(one: Appearance) -> ConfirmedTask:
    return LabelledPhoto(one.task_id.removeprefix(FIRST), one.label).as_task(one.photo_url)


def _by_hash(task: ConfirmedTask) -> str:
    return sha256(task.task_id.encode())
