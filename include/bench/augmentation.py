"""150 photos of twelve megapixels made into augmented training images."""

import hashlib
from collections.abc import Iterator, Sequence

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt

from include.bench.measurement import Measurement, Say, seconds
from include.demo.photos import draw, live_specs
from pipeline.domain.dataset import Augmentation, Photo, Source, Split
from pipeline.learning.augmentation import AlbumentationsAugmenter
from pipeline.learning.shards import Row, pack

_PHOTOS, _DIFFERENT, _COPIES = 150, 10, 5
_SIZE = (4000, 3000)
_LABELS = ("양호", "불량")
_AUGMENTATION = Augmentation(copies=_COPIES)


def augmentation(say: Say) -> Iterator[Measurement]:
    photos = _twelve_megapixels()
    mean_mb = sum(len(body) for _, body in photos) / len(photos) / 1e6
    say(f"{len(photos)} photos of {_SIZE[0]}×{_SIZE[1]} pixels, {mean_mb:.1f} MB each on average")
    augmenter = AlbumentationsAugmenter()
    # A few first, so that neither side pays for imports and caches.
    augmenter.shard(photos[:2], augmentation=_AUGMENTATION, labels=_LABELS)
    _full_decode(photos[:2])
    ours = seconds(lambda: augmenter.shard(photos, augmentation=_AUGMENTATION, labels=_LABELS))
    plain = seconds(lambda: _full_decode(photos))
    yield Measurement(
        "augmentation",
        "s",
        ours,
        plain,
        "decoding every pixel, then the same resizing, augmentations and shard",
        f"{_PHOTOS} photos of 12 megapixels ×{_COPIES}, one core",
    )


def _twelve_megapixels() -> list[tuple[Photo, bytes]]:
    """As a phone takes them; ten different ones, repeated, which costs a decoder the same."""
    rng = np.random.default_rng(1)
    bodies = []
    for spec in live_specs(_DIFFERENT, seed=3):
        large = cv2.resize(_decoded(draw(spec)), _SIZE, interpolation=cv2.INTER_CUBIC).astype(np.int16)
        grain = rng.integers(-6, 7, large.shape, np.int16)
        photo = np.clip(large + grain, 0, 255).astype(np.uint8)
        _, encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 88])
        bodies.append((spec.label, bytes(encoded.tobytes())))
    found = []
    for number in range(_PHOTOS):
        label, body = bodies[number % _DIFFERENT]
        found.append((_photo(number, label, hashlib.sha256(body).hexdigest()), body))
    return found


def _full_decode(photos: Sequence[tuple[Photo, bytes]]) -> bytes:
    cv2.setNumThreads(1)
    return pack(row for photo, body in photos for row in _rows(photo, body))


def _rows(photo: Photo, body: bytes) -> Iterator[Row]:
    pixels = cv2.cvtColor(_decoded(body), cv2.COLOR_BGR2RGB)
    label = _LABELS.index(photo.label)
    yield Row(np.asarray(cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_AREA), np.uint8), label, "plain", 0)
    working = cv2.resize(pixels, (320, 320), interpolation=cv2.INTER_AREA)
    transform = A.Compose(
        [
            A.Rotate(limit=15, border_mode=cv2.BORDER_REFLECT_101, p=1.0),
            A.HorizontalFlip(p=0.5),
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=1.0),
        ],
        seed=7,
    )
    for copy in range(1, _COPIES):
        image = cv2.resize(transform(image=working)["image"], (224, 224), interpolation=cv2.INTER_AREA)
        yield Row(np.asarray(image, np.uint8), label, "plain", copy)


def _decoded(body: bytes) -> npt.NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("OpenCV cannot decode a photo that it encoded")
    return np.asarray(pixels, np.uint8)


def _photo(number: int, label: str, sha256: str) -> Photo:
    task = f"task-{number}"
    return Photo(
        task_id=task,
        photo_url=f"s3://tasks/{task}.jpg",
        sha256=sha256,
        phash="0" * 16,
        cluster_id=task,
        label=label,
        corrected=True,
        source=Source.CORRECTION,
        split=Split.TRAIN,
        confirmed_at="2026-01-01T00:00:00+00:00",
        width=_SIZE[0],
        height=_SIZE[1],
        brightness=0.5,
    )
