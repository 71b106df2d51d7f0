"""Turn frozen photos into shards of images, slice by slice (specification, messages 14-17; design D1)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.domain.checksums import demand_unaltered
from pipeline.domain.dataset import Manifest, Photo, Split
from pipeline.domain.dataset_folder import DatasetFolder, ShardIndex
from pipeline.domain.errors import DatasetRefused
from pipeline.ports.bundles import Images
from pipeline.ports.data import ObjectStore, PhotoStore
from pipeline.steps.downloads import several_at_once
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
    """Which of its split's slices it is, from 0."""
    split = work[index][0]
    return sum(other is split for other, _ in work[:index])


def augment(images: Images, dataset_uri: str, index: int) -> str:
    """Write one shard and return its URI; run again, it writes the same bytes, whatever the settings are by now.

    A finished dataset keeps the shards it has: another run may learn from them. Only training photos are augmented;
    validation photos stay single. Empty when erased photos left fewer slices. Raises `PhotosErased` when one is erased
    meanwhile, and `DatasetRefused` when a photo is no longer the one that was frozen.
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
    body = images.augmenter.shard(_fetched(rows, images.photos), augmentation=augmentation, labels=manifest.labels)
    uri = folder.shard(split, number)
    images.objects.write(uri, body)
    take_back_erased(images.erasures, manifest, deletion(images.objects, uri))
    return uri


def _kept(folder: DatasetFolder, split: Split, number: int, objects: ObjectStore) -> str | None:
    """The shard of a finished dataset; None when there is none yet, or it is not what was recorded."""
    if not objects.exists(folder.index):
        return None
    shard = ShardIndex.from_json(objects.read(folder.index)).of(split)[number]
    return shard.uri if is_whole(shard, objects) else None


def _fetched(rows: Sequence[Photo], photos: PhotoStore) -> Iterator[tuple[Photo, bytes]]:
    """Each photo with its bytes, in order; only those being downloaded are in memory."""

    def fetch(row: Photo) -> tuple[Photo, bytes]:
        name = f"photo {row.photo_url} of task {row.task_id}"
        return row, demand_unaltered(photos.read(row.photo_url), row.sha256, name, DatasetRefused)

    return several_at_once(fetch, rows)
