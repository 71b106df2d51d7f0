"""Turn frozen photos into shards of images, slice by slice (specification, messages 14-17; design D1)."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pipeline.domain.dataset import Manifest, Photo, Split
from pipeline.domain.errors import DatasetRefused
from pipeline.ports import Augmenter, ObjectStore, PhotoStore

_DOWNLOADS_AT_ONCE = 8


def slices(manifest: Manifest, photos_per_slice: int) -> list[tuple[Split, tuple[Photo, ...]]]:
    """The work of one mapped task each: photos of one split only, in manifest order; the holdout is never touched."""
    return [
        (split, manifest.of(split)[start : start + photos_per_slice])
        for split in (Split.TRAIN, Split.VALIDATION)
        for start in range(0, len(manifest.of(split)), photos_per_slice)
    ]


def shard_uri(dataset_uri: str, work: Sequence[tuple[Split, tuple[Photo, ...]]], index: int) -> str:
    split = work[index][0]
    number = sum(1 for other, _ in work[:index] if other is split)
    return f"{dataset_uri}shards/{split}-{number:05d}.parquet"


def augment(
    dataset_uri: str,
    index: int,
    *,
    photos_per_slice: int,
    copies: int,
    seed: int,
    photos: PhotoStore,
    augmenter: Augmenter,
    objects: ObjectStore,
) -> str:
    """Write one shard and return its URI; run again, it writes the same bytes.

    Only training photos are augmented (`copies` images each); validation photos stay single.
    Raises `DatasetRefused` when a photo is no longer the one that was frozen.
    """
    manifest = Manifest.from_json(objects.read(f"{dataset_uri}manifest.json"))
    work = slices(manifest, photos_per_slice)
    split, rows = work[index]
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        bodies = list(pool.map(lambda row: _unchanged(row, photos.read(row.photo_url)), rows))
    body = augmenter.shard(
        list(zip(rows, bodies, strict=True)),
        copies=copies if split is Split.TRAIN else 1,
        seed=seed,
        labels=manifest.labels,
    )
    uri = shard_uri(dataset_uri, work, index)
    objects.write(uri, body)
    return uri


def _unchanged(row: Photo, body: bytes) -> bytes:
    if hashlib.sha256(body).hexdigest() != row.sha256:
        raise DatasetRefused(f"photo {row.photo_url} of task {row.task_id} changed since it was collected")
    return body
