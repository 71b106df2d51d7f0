"""Photos to measure with: rows of a dataset, JPEGs as a phone takes them, and the plain way to augment them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt

from include.demo.photos import draw, live_specs
from pipeline.domain.dataset import Photo, Source, Split

LABELS = ("양호", "불량")
DIFFERENT, _SIZE = 10, (4000, 3000)


def a_photo(number: int, label: str, **changes: Any) -> Photo:
    """A row of a dataset: a garment like no other, on which people and the AI agreed."""
    task_id = f"TASK-{number:05d}"
    usual = Photo(
        task_id=task_id,
        photo_url=f"s3://tasks/{task_id}.jpg",
        sha256=f"{number:064x}",
        phash=f"{number:016x}",
        cluster_id=f"{number:016x}",
        label=label,
        corrected=False,
        source=Source.EVALUATION,
        split=Split.TRAIN,
        confirmed_at="2026-01-01T00:00:00+00:00",
        width=640,
        height=480,
        brightness=0.5,
    )
    return replace(usual, **changes)


def phone_photos() -> list[tuple[str, bytes]]:
    """Labels and JPEGs of ten photos of twelve megapixels: enlarged drawings with the grain of a sensor."""
    rng = np.random.default_rng(1)
    found = []
    for spec in live_specs(DIFFERENT, seed=3):
        large = cv2.resize(decoded(draw(spec)), _SIZE, interpolation=cv2.INTER_CUBIC).astype(np.int16)
        grain = rng.integers(-6, 7, large.shape, np.int16)
        photo = np.clip(large + grain, 0, 255).astype(np.uint8)
        _, encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 88])
        found.append((spec.label, bytes(encoded.tobytes())))
    return found


def a_phone_photo(number: int, different: Sequence[tuple[str, bytes]], **changes: Any) -> tuple[Photo, bytes]:
    """The row and the JPEG of photo `number`; the same few repeat, which takes a decoder as long as many different."""
    label, body = different[number % len(different)]
    return a_photo(number, label, sha256=_sha256(body), width=_SIZE[0], height=_SIZE[1], **changes), body


@cache
def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def decoded(body: bytes) -> npt.NDArray[np.uint8]:
    """Every pixel of a JPEG, uint8 BGR [height, width, 3]."""
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None, "OpenCV decodes what it encoded"
    return np.asarray(pixels, np.uint8)


def small(pixels: npt.NDArray[Any], side: int = 224) -> npt.NDArray[np.uint8]:
    """As a square of `side` pixels."""
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def plain_augmentation() -> A.Compose:
    """The pipeline's transforms, written as the library's documentation shows them."""
    return A.Compose(
        [
            A.Rotate(limit=15, border_mode=cv2.BORDER_REFLECT_101, p=1.0),
            A.HorizontalFlip(p=0.5),
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=1.0),
        ],
        seed=7,
    )
