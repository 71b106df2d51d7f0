"""Photos of twelve megapixels fetched from S3, augmented and stored as shards; and memory as their number grows."""

from collections.abc import Sequence

import cv2
import numpy as np

from include.bench.child import in_child
from include.bench.measurement import Found, Say, seconds
from include.bench.photos import DIFFERENT, LABELS, a_phone_photo, decoded, phone_photos, plain_augmentation, small
from include.bench.services import private_stack
from pipeline.domain.dataset import Augmentation, Manifest
from pipeline.domain.dataset_folder import DatasetFolder

_FEW, _MANY, _PLAIN = 150, 5000, 30
_COPIES = 5


def augmenting(say: Say) -> Found:
    different = phone_photos()
    size = (
        f"photos of 12 megapixels, {sum(len(body) for _, body in different) / len(different) / 1e6:.1f} MB on average"
    )
    with private_stack(say, "s3") as stack:
        _upload(stack.s3_endpoint, different)
        few = in_child(_ours, _FEW)
        say(f"{_FEW} {size}: {few['seconds']:.1f} s, {few['peak_mb']:.0f} MB")
        plain = in_child(_plain, stack.s3_endpoint, _PLAIN)
        say(f"plain: {plain['seconds'] / _PLAIN * 1000:.0f} ms a photo")
        many = in_child(_ours, _MANY)
        say(f"{_MANY} photos: {many['seconds']:.1f} s, {many['peak_mb']:.0f} MB")
    per_photo = few["seconds"] / _FEW
    figures = {
        "augment_seconds_150_photos": few["seconds"],
        "augment_speedup_vs_plain": plain["seconds"] / _PLAIN / per_photo,
        "augment_peak_memory_mb_150_photos": round(few["peak_mb"]),
        "augment_peak_memory_mb_5000_photos": round(many["peak_mb"]),
        "augment_seconds_per_photo_5000_over_150": many["seconds"] / _MANY / per_photo,
    }
    return Found(
        figures,
        f"The augment step over every slice, one process; {size}, from S3 on the same machine ({DIFFERENT} different "
        f"ones, fetched again for each task), ×{_COPIES}, shards back to S3. Plain: {_PLAIN} of the photos fetched, "
        "decoded in full, augmented in full, then resized, one by one; seconds a photo compared.",
    )


def _ours(count: int) -> dict[str, float]:
    from pipeline.bootstrap import Pipeline

    pipeline = Pipeline.from_env()

    def work(photos: int) -> None:
        for index in pipeline.slices(_dataset(photos)):
            pipeline.augment_slice(_dataset(photos), index)

    # One first: imports and connections are not what is measured.
    work(1)
    return {"seconds": seconds(lambda: work(count))}


def _plain(endpoint: str, count: int) -> dict[str, float]:
    from pipeline.adapters.s3 import S3ObjectStore, S3PhotoStore
    from pipeline.learning.shards import Row, pack

    objects, transform = S3ObjectStore(endpoint=endpoint), plain_augmentation()
    photos = S3PhotoStore(endpoint=endpoint, buckets=frozenset({"tasks"}))
    cv2.setNumThreads(1)

    def rows(number: int) -> list[Row]:
        pixels = np.asarray(cv2.cvtColor(decoded(photos.read(_url(number))), cv2.COLOR_BGR2RGB), np.uint8)
        found = [pixels, *(transform(image=pixels)["image"] for _ in range(_COPIES - 1))]
        return [Row(small(image), 0, str(number), copy) for copy, image in enumerate(found)]

    def work() -> None:
        objects.write("s3://datasets/plain.parquet", pack(row for number in range(count) for row in rows(number)))

    rows(0)
    return {"seconds": seconds(work)}


def _upload(endpoint: str, different: Sequence[tuple[str, bytes]]) -> None:
    """The photos, and manifests of datasets of one, of few and of many of them."""
    from pipeline.adapters.s3 import S3ObjectStore

    objects = S3ObjectStore(endpoint=endpoint)
    for number, (_, body) in enumerate(different):
        objects.write(_url(number), body)
    for count in (1, _FEW, _MANY):
        photos = tuple(a_phone_photo(n, different, photo_url=_url(n))[0] for n in range(count))
        augmentation = Augmentation(copies=_COPIES)
        manifest = Manifest(_dataset(count), "LAUNDRY", LABELS, None, None, photos, augmentation=augmentation)
        objects.write(DatasetFolder.of("s3://datasets/", manifest.dataset_id).manifest, manifest.to_json())


def _dataset(photos: int) -> str:
    return f"bench-{photos}"


def _url(number: int) -> str:
    return f"s3://tasks/{number % DIFFERENT}.jpg"
