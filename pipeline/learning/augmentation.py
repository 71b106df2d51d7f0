"""The specification's augmentations: rotation, horizontal flip, brightness and contrast."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt

from include.contract.preprocessing import decode, resize
from pipeline.domain.dataset import Augmentation, Photo
from pipeline.learning.shards import Row, pack, unpack, without

# Rotating a little more than the input size, then reducing, keeps edges smooth at half the cost of full size.
_WORKING_PIXELS = 320
_SHEET_COLUMNS, _SHEET_PIXELS = 8, 112


class AlbumentationsAugmenter:
    def shard(
        self, photos: Iterable[tuple[Photo, bytes]], *, augmentation: Augmentation, labels: Sequence[str]
    ) -> bytes:
        cv2.setNumThreads(1)
        transform = _transform(augmentation)
        return pack(
            row
            for photo, body in photos
            for row in _rows(photo, body, labels.index(photo.label), augmentation, transform)
        )

    def without(self, shard: bytes, task_id: str) -> bytes | None:
        return without(shard, task_id)

    def contact_sheet(self, shards: Sequence[bytes], labels: Sequence[str]) -> bytes:
        found = unpack(shards, limit=400)
        rows = [_sheet_row(found.images[found.labels == index]) for index in range(len(labels))]
        ok, png = cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
        assert ok, "OpenCV encodes any uint8 RGB image"
        return bytes(png.tobytes())


def _rows(photo: Photo, body: bytes, label: int, augmentation: Augmentation, transform: A.Compose) -> Iterator[Row]:
    """The photo as the server will see it, then its augmented copies, seeded by photo and copy."""
    pixels = decode(body)
    yield Row(resize(pixels), label, photo.task_id, 0)
    if augmentation.copies <= 1:
        return
    working = np.asarray(cv2.resize(pixels, (_WORKING_PIXELS, _WORKING_PIXELS), interpolation=cv2.INTER_AREA), np.uint8)
    for copy in range(1, augmentation.copies):
        digest = hashlib.sha256(f"{augmentation.seed}:{photo.sha256}:{copy}".encode()).digest()
        transform.set_random_seed(int.from_bytes(digest[:4]))
        yield Row(resize(transform(image=working)["image"]), label, photo.task_id, copy)


def _transform(augmentation: Augmentation) -> A.Compose:
    return A.Compose(
        [
            A.Rotate(limit=augmentation.rotation_degrees, border_mode=cv2.BORDER_REFLECT_101, p=1.0),
            A.HorizontalFlip(p=augmentation.flip_probability),
            A.RandomBrightnessContrast(
                brightness_limit=augmentation.brightness, contrast_limit=augmentation.contrast, p=1.0
            ),
        ]
    )


def _sheet_row(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    step = max(1, len(images) // _SHEET_COLUMNS)
    chosen = [cv2.resize(image, (_SHEET_PIXELS, _SHEET_PIXELS)) for image in images[::step][:_SHEET_COLUMNS]]
    blank = np.full((_SHEET_PIXELS, _SHEET_PIXELS, 3), 255, np.uint8)
    return np.hstack([*chosen, *[blank] * (_SHEET_COLUMNS - len(chosen))])
