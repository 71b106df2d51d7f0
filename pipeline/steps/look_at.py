"""Look at every confirmed task and its photo before anything is chosen: what cannot be used is set aside by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.dataset import ConfirmedTask, Fingerprint, Quarantined
from pipeline.domain.errors import PhotoMissing, PhotoRefused
from pipeline.domain.rows import oddity
from pipeline.ports.bundles import DataSources
from pipeline.ports.data import PhotoStore
from pipeline.steps.one_by_one import Looking, looked_at

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
    looking: Looking[ConfirmedTask, Fingerprint] = Looking(
        look=lambda task: _fingerprint(task, sources),
        set_aside=lambda _, fault: Fingerprint(fault=fault),
        reads=lambda task: gives(sources.photos, task.photo_url),
    )
    return list(zip(tasks, looked_at(tasks, looking), strict=True))


def _fingerprint(task: ConfirmedTask, sources: DataSources) -> Fingerprint:
    try:
        return sources.inspector.fingerprint(sources.photos.read(task.photo_url))
    except (PhotoMissing, PhotoRefused) as error:
        return Fingerprint(fault=str(error))


def gives(photos: PhotoStore, url: str) -> bool:
    """Whether storage gives out this photo. Raises `ServiceUnavailable`."""
    try:
        photos.read(url)
    except (PhotoMissing, PhotoRefused):
        return False
    return True
