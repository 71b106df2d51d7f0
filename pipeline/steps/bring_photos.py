"""Take over photos that a person labelled, for the first model: all of them, as if they had been confirmed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.domain.checksums import sha256
from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.errors import DatasetRefused, GiveUp, PhotoRefused
from pipeline.domain.labelled_photos import LIST, LabelledPhoto, Words, labelled
from pipeline.domain.lineage import Gone
from pipeline.domain.models import ModelType
from pipeline.ports.first_photos import FirstPhotos
from pipeline.steps.one_by_one import Looking, looked_at

OnPhoto = Callable[[int, int], None]


@dataclass(frozen=True)
class _Brought:
    """`sha256` is that of the copy, empty where none could be made."""

    task: ConfirmedTask
    sha256: str = ""


def bring_photos(first: FirstPhotos, run_id: str, model_type: ModelType, on_photo: OnPhoto) -> list[ConfirmedTask]:
    """Copies of the photos, so that nothing later depends on the folder; a copy that exists is not made again.

    Erased photos are left out, and no copy of them exists afterwards, though the folder may still have them. What
    cannot be copied is set aside by the dataset, with the reason. `on_photo` hears how many of how many are done.
    Raises `GiveUp` when the model type has a version already, and `DatasetRefused` for a folder that says no labels.
    """
    _demand_no_version(first, run_id, model_type)
    photos = labelled(first.folder.names(), Words(first.english), _list(first))
    gone, brought = Gone.of(first.erasures.all()), list[_Brought]()
    looking: Looking[LabelledPhoto, _Brought] = Looking(
        look=lambda photo: _bring(photo, first, gone),
        set_aside=lambda photo, fault: _Brought(photo.as_task(f"{first.folder}/{photo.name}", fault)),
        # A photo that can be copied shows that folder and bucket both work.
        reads=lambda photo: bool(_bring(photo, first, gone).sha256),
    )
    for one in looked_at(photos, looking):
        brought.append(one)
        on_photo(len(brought), len(photos))
    return _without_erased(brought, first)


def _without_erased(brought: Sequence[_Brought], first: FirstPhotos) -> list[ConfirmedTask]:
    """An erasure is recorded first and then deletes what it finds: it has either found a copy, or is seen here.

    Whatever else shows the same photo goes with it, as when datasets have it.
    """
    gone = Gone.of(first.erasures.all())
    erased = {one.sha256 for one in brought if one.sha256 and gone.has(one.task.task_id, one.sha256)}
    for copy in sorted({one.task.photo_url for one in brought if one.sha256 in erased}):
        first.objects.delete(copy)
    return [one.task for one in brought if one.sha256 not in erased and one.task.task_id not in gone.task_ids]


def _demand_no_version(first: FirstPhotos, run_id: str, model_type: ModelType) -> None:
    others = [version for version in first.versions.all(model_type) if version.run_id != run_id]
    if others:
        known = others[0].version
        how = f"`python -m pipeline retrain --run-id NAME --model-type {model_type}`"
        raise GiveUp(f"{model_type} has {known} already: {how} makes the next version")


def _list(first: FirstPhotos) -> str | None:
    if LIST not in first.folder.names():
        return None
    try:
        return first.folder.read(LIST).decode()
    except UnicodeDecodeError:
        raise DatasetRefused(f"{LIST} is not UTF-8: save it as such") from None


def _bring(photo: LabelledPhoto, first: FirstPhotos, gone: Gone) -> _Brought:
    original = f"{first.folder}/{photo.name}"
    if photo.fault:
        return _Brought(photo.as_task(original, photo.fault))
    try:
        body = first.folder.read(photo.name)
    except PhotoRefused as error:
        return _Brought(photo.as_task(original, fault=str(error)))
    digest = sha256(body)
    task = photo.as_task(f"{first.prefix}{digest}{PurePosixPath(photo.name).suffix.lower()}")
    if not gone.has(task.task_id, digest) and not first.objects.exists(task.photo_url):
        first.objects.write(task.photo_url, body)
    return _Brought(task, digest)
