"""Look at every confirmed task and its photo before anything is chosen: what cannot be used is set aside by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.dataset import ConfirmedTask, Fingerprint, Quarantined
from pipeline.domain.errors import PhotoMissing, PhotoRefused, ServiceUnavailable
from pipeline.domain.rows import oddity
from pipeline.ports.bundles import DataSources
from pipeline.steps.downloads import several_at_once

# Photos that storage may fail on by themselves; more of them are an outage.
_MAX_FAILING = 3

Printed = tuple[ConfirmedTask, Fingerprint]


@dataclass(frozen=True)
class Looked:
    """Tasks with a usable photo, and those that were set aside with the reason."""

    usable: Sequence[Printed]
    aside: tuple[Quarantined, ...]


def look_at(tasks: Sequence[ConfirmedTask], sources: DataSources) -> Looked:
    """Raises `ServiceUnavailable` when storage is away, not when it only fails on a photo or two."""
    now = sources.clock.now()
    odd = {task.task_id: oddity(task, sources.recipe.labels, now) for task in tasks}
    found = _fingerprints([task for task in tasks if not odd[task.task_id]], sources)
    return Looked(
        usable=[(task, print_) for task, print_ in found if not print_.fault],
        aside=(
            *(_aside(task, odd[task.task_id]) for task in tasks if odd[task.task_id]),
            *(_aside(task, print_.fault) for task, print_ in found if print_.fault),
        ),
    )


def _aside(task: ConfirmedTask, reason: str) -> Quarantined:
    return Quarantined(task.task_id, task.photo_url, reason)


def _fingerprints(tasks: Sequence[ConfirmedTask], sources: DataSources) -> list[Printed]:
    def look(task: ConfirmedTask) -> Fingerprint | ServiceUnavailable:
        try:
            return _fingerprint(task, sources)
        except ServiceUnavailable as error:
            return error

    found: list[Printed] = []
    failing: list[ConfirmedTask] = []
    for task, seen in zip(tasks, several_at_once(look, tasks), strict=True):
        if isinstance(seen, Fingerprint):
            found.append((task, seen))
        elif len(failing) == _MAX_FAILING:
            raise seen
        else:
            failing.append(task)
    return [*found, *(_by_itself(task, found, sources) for task in failing)]


def _by_itself(task: ConfirmedTask, found: Sequence[Printed], sources: DataSources) -> Printed:
    """Once more, and set aside if storage fails on this photo while it gives out another one."""
    try:
        return task, _fingerprint(task, sources)
    except ServiceUnavailable as error:
        readable = next((other for other, print_ in found if not print_.fault), None)
        if readable is None:
            raise
        sources.photos.read(readable.photo_url)
        return task, Fingerprint(fault=f"{error}, for this photo alone")


def _fingerprint(task: ConfirmedTask, sources: DataSources) -> Fingerprint:
    try:
        return sources.inspector.fingerprint(sources.photos.read(task.photo_url))
    except (PhotoMissing, PhotoRefused) as error:
        return Fingerprint(fault=str(error))
