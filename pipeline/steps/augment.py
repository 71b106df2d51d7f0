"""Turn frozen photos into shards of images, slice by slice (specification, messages 14-17; design D1)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.domain.dataset import Manifest, Photo, Quarantined, Split, set_aside
from pipeline.domain.dataset_folder import DatasetFolder, ShardIndex
from pipeline.domain.enough_left import demand_enough_left
from pipeline.domain.errors import DatasetRefused
from pipeline.ports.bundles import Images
from pipeline.ports.data import Datasets, ObjectStore, PhotoStore
from pipeline.steps.ask_models import still_there
from pipeline.steps.stored_dataset import is_finished, is_whole, manifest_in
from pipeline.steps.unerased import deletion, take_back_erased

Slice = tuple[Split, tuple[Photo, ...]]


def slices(manifest: Manifest) -> list[Slice]:
    """Slices, one per mapped task: photos of one split only, in manifest order; the holdout is never touched."""
    size = manifest.augmentation.photos_per_slice
    return [
        (split, photos[start : start + size])
        for split in (Split.TRAIN, Split.VALIDATION)
        for photos in [manifest.of(split)]
        for start in range(0, len(photos), size)
    ]


def shard_number(work: Sequence[Slice], index: int) -> int:
    """The number of the slice within its split, from 0."""
    split = work[index][0]
    return sum(other is split for other, _ in work[:index])


def augment(images: Images, dataset_uri: str, index: int) -> str:
    """Write one shard and return its URI; run again, it writes the same bytes, whatever the settings are by now.

    A finished dataset keeps the shards it has: another run may learn from them. Only training photos are augmented;
    validation photos stay single. A photo that is gone, or was replaced, is set aside; whether too many are gone is
    known once all slices are there. Returns "" when erased photos left fewer slices. Raises `PhotosErased` when one is
    erased meanwhile.
    """
    folder = DatasetFolder(dataset_uri)
    manifest = manifest_in(folder, images.objects)
    work = slices(manifest)
    if index >= len(work):
        return ""
    (split, rows), number = work[index], shard_number(work, index)
    finished = is_finished(manifest.dataset_id, images.datasets)
    if finished and (kept := _kept(folder, split, number, images.objects)) is not None:
        return kept
    copies = manifest.augmentation.copies if split is Split.TRAIN else 1
    augmentation = replace(manifest.augmentation, copies=copies)
    lost: list[Quarantined] = []
    there = _there(_without(rows, _lost_of(manifest, images.datasets)), manifest, images.photos, lost)
    body = images.augmenter.shard(there, augmentation=augmentation, labels=manifest.labels)
    if lost and finished:
        raise DatasetRefused(f"{manifest.dataset_id} is finished, and cannot be made again without {_named(lost[0])}")
    if lost:
        images.datasets.lose(manifest, lost)
    uri = folder.shard(split, number)
    images.objects.write(uri, body)
    take_back_erased(images.erasures, manifest, deletion(images.objects, uri))
    return uri


def _kept(folder: DatasetFolder, split: Split, number: int, objects: ObjectStore) -> str | None:
    """The URI of a finished dataset's shard; None when there is none yet, or it is not what was recorded."""
    if not objects.exists(folder.index):
        return None
    shard = ShardIndex.from_json(objects.read(folder.index)).of(split)[number]
    return shard.uri if is_whole(shard, objects) else None


def left_of(folder: DatasetFolder, manifest: Manifest, images: Images) -> Manifest:
    """The manifest without photos that disappeared after it was frozen; the report names them, too. Raises
    `DatasetRefused` when so many are gone that the rest would not have been accepted: the next try asks for all of them
    again, and uses those that are back.
    """
    lost = _lost_of(manifest, images.datasets)
    left = manifest.setting_aside(lost)
    if lost:
        try:
            demand_enough_left(manifest, left, images.policy)
        except DatasetRefused:
            _look_for_again(lost, folder, manifest, images)
            raise
    if lost and images.objects.exists(folder.report):
        page = images.reporter.with_lost(images.objects.read(folder.report), lost)
        images.objects.write(folder.report, page, "text/html; charset=utf-8")
        take_back_erased(images.erasures, manifest, deletion(images.objects, folder.report))
    return left


def _look_for_again(lost: Sequence[Quarantined], folder: DatasetFolder, manifest: Manifest, images: Images) -> None:
    """Shards without these photos are deleted first: after a kill in between, no shard lacks a photo that is listed."""
    if is_finished(manifest.dataset_id, images.datasets):
        return
    gone, work = {row.task_id for row in lost}, slices(manifest)
    for index, (split, rows) in enumerate(work):
        if any(row.task_id in gone for row in rows):
            images.objects.delete(folder.shard(split, shard_number(work, index)))
    images.datasets.look_for_again(manifest, lost)


def _lost_of(manifest: Manifest, datasets: Datasets) -> list[Quarantined]:
    """The photos known to have disappeared after the dataset was frozen."""
    photos = {photo.task_id for photo in manifest.photos}
    return [row for row in datasets.set_aside(manifest.dataset_id) if row.task_id in photos]


def _without(rows: Sequence[Photo], lost: Sequence[Quarantined]) -> list[Photo]:
    """A photo that was found gone is not asked for again: another try would make other shards."""
    known = {row.task_id for row in lost}
    return [row for row in rows if row.task_id not in known]


def _there(
    rows: Sequence[Photo], manifest: Manifest, photos: PhotoStore, lost: list[Quarantined]
) -> Iterator[tuple[Photo, bytes]]:
    """Each photo with its bytes, in order, unless it is `lost`; only those being downloaded are in memory."""
    for row, body, fault in still_there(rows, photos, beside=manifest.photos):
        if body is not None:
            yield row, body
        else:
            lost.append(set_aside(row, f"{fault}, after it was collected", "unusable"))


def _named(row: Quarantined) -> str:
    return f"the photo of {row.task_id}: {row.reason}"
