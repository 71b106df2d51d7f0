"""Take over photos that a person labelled, for the first model: all of them, as if they had been confirmed."""

from collections.abc import Callable
from pathlib import PurePosixPath

from pipeline.domain.checksums import sha256
from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.errors import DatasetRefused, GiveUp, PhotoRefused
from pipeline.domain.labelled_photos import LIST, LabelledPhoto, Words, labelled
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import FirstPhotos
from pipeline.steps.downloads import several_at_once

OnPhoto = Callable[[int, int], None]


def bring_photos(first: FirstPhotos, run_id: str, model_type: ModelType, on_photo: OnPhoto) -> list[ConfirmedTask]:
    """Copies of the photos, by which nothing later depends on the folder; one that is there is not made again.

    What cannot be copied is set aside by the dataset, with the reason. `on_photo` hears how many of how many are done.
    Raises `GiveUp` when the model type has a version already, and `DatasetRefused` for a folder that says no labels.
    """
    _demand_no_version(first, run_id, model_type)
    photos = labelled(first.folder.names(), Words(first.english), _list(first))
    tasks = []
    for task in several_at_once(lambda photo: _bring(photo, first), photos):
        tasks.append(task)
        on_photo(len(tasks), len(photos))
    return tasks


def _demand_no_version(first: FirstPhotos, run_id: str, model_type: ModelType) -> None:
    others = [version for version in first.versions.all(model_type) if version.run_id != run_id]
    if others:
        known = others[0].version
        raise GiveUp(f"{model_type} has {known} already: `python -m pipeline retrain` makes the next version")


def _list(first: FirstPhotos) -> str | None:
    if LIST not in first.folder.names():
        return None
    try:
        return first.folder.read(LIST).decode()
    except UnicodeDecodeError:
        raise DatasetRefused(f"{LIST} is not UTF-8: save it as such") from None


def _bring(photo: LabelledPhoto, first: FirstPhotos) -> ConfirmedTask:
    original = f"{first.folder}/{photo.name}"
    if photo.fault:
        return photo.as_task(original, photo.fault)
    try:
        body = first.folder.read(photo.name)
    except PhotoRefused as error:
        return photo.as_task(original, fault=str(error))
    copy = f"{first.prefix}{sha256(body)}{PurePosixPath(photo.name).suffix.lower()}"
    if not first.objects.exists(copy):
        first.objects.write(copy, body)
    return photo.as_task(copy)
