"""150 photos of twelve megapixels made into augmented training images."""

from collections.abc import Iterator, Sequence

import cv2

from include.bench.measurement import Found, Say, compared, seconds
from include.bench.photos import LABELS, a_phone_photo, decoded, phone_photos, plain_augmentation, small
from pipeline.domain.dataset import Augmentation, Photo
from pipeline.learning.augmentation import AlbumentationsAugmenter
from pipeline.learning.shards import Row, pack

_PHOTOS, _COPIES, _WORKING_SIDE = 150, 5, 320

Photos = Sequence[tuple[Photo, bytes]]


def augmentation(say: Say) -> Found:
    different = phone_photos()
    photos = [a_phone_photo(number, different) for number in range(_PHOTOS)]
    say(f"{_PHOTOS} photos of {sum(len(body) for _, body in photos) / _PHOTOS / 1e6:.1f} MB each on average")
    # A few first, so that neither side pays for imports and caches.
    _ours(photos[:2])
    _plain(photos[:2])
    ours, plain = seconds(lambda: _ours(photos)), seconds(lambda: _plain(photos))
    return Found(
        compared("augmentation", "seconds", ours=ours, plain=plain),
        f"{_PHOTOS} photos of 12 megapixels ×{_COPIES}, one core. "
        "Plain: every pixel decoded, then the same resizing, augmentations and shard.",
    )


def _ours(photos: Photos) -> bytes:
    return AlbumentationsAugmenter().shard(photos, augmentation=Augmentation(copies=_COPIES), labels=LABELS)


def _plain(photos: Photos) -> bytes:
    cv2.setNumThreads(1)
    return pack(row for photo, body in photos for row in _rows(LABELS.index(photo.label), body))


def _rows(label: int, body: bytes) -> Iterator[Row]:
    pixels, transform = cv2.cvtColor(decoded(body), cv2.COLOR_BGR2RGB), plain_augmentation()
    yield Row(small(pixels), label, "plain", 0)
    working = small(pixels, _WORKING_SIDE)
    for copy in range(1, _COPIES):
        yield Row(small(transform(image=working)["image"]), label, "plain", copy)
