"""Turn frozen photos into shards of images, slice by slice (specification, messages 14-17; design D1)."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from pipeline.domain.dataset import Manifest, Photo, Split
from pipeline.domain.errors import DatasetRefused
from pipeline.ports.bundles import Images
from pipeline.ports.data import PhotoStore

_DOWNLOADS_AT_ONCE = 8

Slice = tuple[Split, tuple[Photo, ...]]


def slices(manifest: Manifest) -> list[Slice]:
    """The work of one mapped task each: photos of one split only, in manifest order; the holdout is never touched."""
    size = manifest.augmentation.photos_per_slice
    return [
        (split, photos[start : start + size])
        for split in (Split.TRAIN, Split.VALIDATION)
        for photos in [manifest.of(split)]
        for start in range(0, len(photos), size)
    ]


def shard_uri(dataset_uri: str, work: Sequence[Slice], index: int) -> str:
    split = work[index][0]
    number = sum(1 for other, _ in work[:index] if other is split)
    return f"{dataset_uri}shards/{split}-{number:05d}.parquet"


def augment(dataset_uri: str, index: int, images: Images) -> str:
    """Write one shard and return its URI; run again, it writes the same bytes, whatever the settings are by now.

    Only training photos are augmented; validation photos stay single.
    Raises `DatasetRefused` when a photo is no longer the one that was frozen.
    """
    manifest = Manifest.from_json(images.objects.read(f"{dataset_uri}manifest.json"))
    work = slices(manifest)
    split, rows = work[index]
    copies = manifest.augmentation.copies if split is Split.TRAIN else 1
    augmentation = replace(manifest.augmentation, copies=copies)
    body = images.augmenter.shard(_fetched(rows, images.photos), augmentation=augmentation, labels=manifest.labels)
    uri = shard_uri(dataset_uri, work, index)
    images.objects.write(uri, body)
    return uri


def _fetched(rows: Sequence[Photo], photos: PhotoStore) -> Iterator[tuple[Photo, bytes]]:
    """Each photo with its bytes, in order; only as many as are downloading are in memory."""

    def fetch(row: Photo) -> tuple[Photo, bytes]:
        body = photos.read(row.photo_url)
        if hashlib.sha256(body).hexdigest() != row.sha256:
            raise DatasetRefused(f"photo {row.photo_url} of task {row.task_id} changed since it was collected")
        return row, body

    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        ahead: deque[Future[tuple[Photo, bytes]]] = deque()
        for row in rows:
            ahead.append(pool.submit(fetch, row))
            if len(ahead) >= _DOWNLOADS_AT_ONCE:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
