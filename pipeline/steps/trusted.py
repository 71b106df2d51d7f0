"""Confirmed tasks that were not erased, without those that a person set aside, which are listed with the reason."""

from collections.abc import Callable, Collection, Sequence

from pipeline.domain.dataset import ConfirmedTask, Manifest, Quarantined
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.withholding import Withheld, standing, withheld_photos, withheld_tasks
from pipeline.ports.bundles import DataSources
from pipeline.ports.data import Withholdings

INSTEAD = "start a retraining without naming a dataset, which collects a new one"
# Months of confirmations may be left out: then more is asked for, as far as memory allows.
_MOST = 100_000
_MORE_TIMES = 4


class Trusted:
    """Asks as it stood at the beginning. `aside` grows by what was left out, each task once; of those that are
    `erased`, by id, nothing is said.
    """

    def __init__(self, withholdings: Withholdings, erased: Collection[str]) -> None:
        self._withholdings, self._erased = withholdings, erased
        self._standing: Sequence[Withheld] = standing(withholdings.all())
        self._aside: dict[str, Quarantined] = {}

    @property
    def aside(self) -> tuple[Quarantined, ...]:
        return tuple(self._aside[task_id] for task_id in sorted(self._aside))

    def of(self, tasks: Sequence[ConfirmedTask]) -> list[ConfirmedTask]:
        tasks = [task for task in tasks if task.task_id not in self._erased]
        if not self._standing:
            return tasks
        words = self._withholdings.words([task.task_id for task in tasks])
        aside = withheld_tasks(tasks, self._standing, words)
        self._aside |= aside
        return [task for task in tasks if task.task_id not in aside]

    def up_to(self, limit: int, ask: Callable[[int], Sequence[ConfirmedTask]]) -> list[ConfirmedTask]:
        """The first `limit` of what `ask` finds, if there are so many besides what is left out."""
        return self.at_least(limit, ask)[:limit]

    def at_least(self, limit: int, ask: Callable[[int], Sequence[ConfirmedTask]]) -> list[ConfirmedTask]:
        """At least as many: for questions whose first answers are no fair choice."""
        asked = limit
        while True:
            found = ask(asked)
            kept = self.of(found)
            if len(kept) >= limit or len(found) < asked or asked >= _MOST:
                return kept
            asked *= _MORE_TIMES

    def first_of(
        self, limit: int, task_ids: Sequence[str], ask: Callable[[Sequence[str]], Sequence[ConfirmedTask]]
    ) -> list[ConfirmedTask]:
        """The first `limit` of the named tasks that `ask` knows and nobody erased or set aside."""
        kept: list[ConfirmedTask] = []
        while task_ids and len(kept) < limit:
            named, task_ids = task_ids[:limit], task_ids[limit:]
            found = {task.task_id: task for task in self.of(ask(named))}
            kept += [found[task_id] for task_id in named if task_id in found]
        return kept[:limit]


def demand_trusted(sources: DataSources, manifest: Manifest) -> None:
    """Asked of every frozen dataset that a run takes, its own of before and another's. Raises `DatasetRefused` when a
    person has set aside since what was said of its photos.
    """
    known = standing(sources.withholdings.all())
    words = sources.withholdings.words([photo.task_id for photo in manifest.photos]) if known else {}
    if found := withheld_photos(manifest.photos, known, words):
        count = f"{len(found)} of its {len(manifest.photos)} photos"
        raise DatasetRefused(f"{manifest.dataset_id} cannot be used again: {count}: {found[0]}; {INSTEAD}")
