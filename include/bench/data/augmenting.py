"""Photos of twelve megapixels fetched from S3, augmented and stored as shards; and memory as their number grows."""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt

from include.bench.data.child import in_child
from include.bench.measurement import Say, seconds
from include.demo.photos import draw, live_specs
from include.stack import runner
from include.stack.layout import environment
from pipeline.domain.dataset import Augmentation, Manifest, Photo, Source, Split

_FEW, _MANY, _PLAIN = 150, 5000, 30
_DIFFERENT = 10
_SIZE = (4000, 3000)
_LABELS = ("양호", "불량")
_COPIES = 5


def augmenting(say: Say) -> tuple[dict[str, float], dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        root = Path(name)
        before = dict(os.environ)
        try:
            stack = runner.up(root, say, ["s3"], preferred_ports=False)
            os.environ |= {k: v for k, v in environment(stack).items() if k.startswith("AWS_")}
            bodies = _upload(stack.s3_endpoint)
            mean_mb = sum(len(body) for _, body in bodies) / len(bodies) / 1e6
            say(f"{_DIFFERENT} different photos of {_SIZE[0]}×{_SIZE[1]} pixels, {mean_mb:.1f} MB on average")
            for count in (_FEW, _MANY):
                _freeze(stack.s3_endpoint, count, bodies)
            few = in_child(_ours, stack.s3_endpoint, _FEW)
            say(f"{_FEW} photos: {few['seconds']:.1f} s, {few['peak_mb']:.0f} MB")
            plain = in_child(_plain, stack.s3_endpoint, _PLAIN)
            say(f"plain: {plain['seconds'] / _PLAIN * 1000:.0f} ms a photo")
            many = in_child(_ours, stack.s3_endpoint, _MANY)
            say(f"{_MANY} photos: {many['seconds']:.1f} s, {many['peak_mb']:.0f} MB")
        finally:
            os.environ.clear()
            os.environ |= before
            runner.clean(root)
    per_photo = few["seconds"] / _FEW
    figures = {
        "augment_seconds_150_photos": round(few["seconds"], 2),
        "augment_speedup_vs_plain": round(plain["seconds"] / _PLAIN / per_photo, 2),
        "augment_peak_memory_mb_150_photos": round(few["peak_mb"]),
        "augment_peak_memory_mb_5000_photos": round(many["peak_mb"]),
        "augment_seconds_per_photo_5000_over_150": round(many["seconds"] / _MANY / per_photo, 3),
    }
    size = f"{_SIZE[0]}×{_SIZE[1]} JPEGs of {mean_mb:.1f} MB"
    context = {
        "how": f"the augment step over every slice, one process; {size} from S3 on the same machine "
        f"({_DIFFERENT} different ones, fetched again for each task), ×{_COPIES}, shards back to S3",
        "plain": f"{_PLAIN} of the photos fetched, decoded in full, augmented in full, then resized, one by one; "
        "seconds a photo compared",
    }
    return figures, context


def _ours(endpoint: str, count: int) -> dict[str, float]:
    from pipeline.adapters.s3 import S3ObjectStore, S3PhotoStore
    from pipeline.learning.augmentation import AlbumentationsAugmenter
    from pipeline.ports.bundles import Images
    from pipeline.steps.augment import augment, slices

    objects = S3ObjectStore(endpoint=endpoint)
    photos = S3PhotoStore(endpoint=endpoint, buckets=frozenset({"tasks"}))
    augmenter, uri = AlbumentationsAugmenter(), _uri(count)
    manifest = Manifest.from_json(objects.read(f"{uri}manifest.json"))
    # One first: imports and connections are not what is measured.
    augmenter.shard(
        [(manifest.photos[0], photos.read(manifest.photos[0].photo_url))],
        augmentation=manifest.augmentation,
        labels=_LABELS,
    )

    images = Images(photos, augmenter, objects)

    def work() -> None:
        for index in range(len(slices(manifest))):
            augment(uri, index, images)

    return {"seconds": seconds(work)}


def _plain(endpoint: str, count: int) -> dict[str, float]:
    from pipeline.adapters.s3 import S3ObjectStore, S3PhotoStore
    from pipeline.learning.shards import Row, pack

    objects = S3ObjectStore(endpoint=endpoint)
    photos = S3PhotoStore(endpoint=endpoint, buckets=frozenset({"tasks"}))
    cv2.setNumThreads(1)
    transform = A.Compose(
        [
            A.Rotate(limit=15, border_mode=cv2.BORDER_REFLECT_101, p=1.0),
            A.HorizontalFlip(p=0.5),
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=1.0),
        ],
        seed=7,
    )

    def images(number: int) -> list[npt.NDArray[np.uint8]]:
        pixels = cv2.cvtColor(_decoded(photos.read(_url(number))), cv2.COLOR_BGR2RGB)
        found = [pixels, *(transform(image=pixels)["image"] for _ in range(_COPIES - 1))]
        return [np.asarray(cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA), np.uint8) for image in found]

    def work() -> None:
        rows = [Row(image, 0, str(n), copy) for n in range(count) for copy, image in enumerate(images(n))]
        objects.write("s3://datasets/plain.parquet", pack(rows))

    images(0)
    return {"seconds": seconds(work)}


def _upload(endpoint: str) -> list[tuple[str, bytes]]:
    """As a phone takes them: enlarged drawings with the grain of a sensor."""
    from pipeline.adapters.s3 import S3ObjectStore

    objects, rng, found = S3ObjectStore(endpoint=endpoint), np.random.default_rng(1), []
    for number, spec in enumerate(live_specs(_DIFFERENT, seed=3)):
        large = cv2.resize(_decoded(draw(spec)), _SIZE, interpolation=cv2.INTER_CUBIC).astype(np.int16)
        grain = rng.integers(-6, 7, large.shape, np.int16)
        photo = np.clip(large + grain, 0, 255).astype(np.uint8)
        _, encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 88])
        found.append((spec.label, bytes(encoded.tobytes())))
        objects.write(_url(number), found[-1][1])
    return found


def _freeze(endpoint: str, count: int, bodies: Sequence[tuple[str, bytes]]) -> None:
    from pipeline.adapters.s3 import S3ObjectStore

    hashes = [hashlib.sha256(body).hexdigest() for _, body in bodies]
    photos = tuple(_photo(n, bodies[n % _DIFFERENT][0], hashes[n % _DIFFERENT]) for n in range(count))
    manifest = Manifest(
        f"bench-{count}", "LAUNDRY", _LABELS, None, None, photos, augmentation=Augmentation(copies=_COPIES)
    )
    S3ObjectStore(endpoint=endpoint).write(f"{_uri(count)}manifest.json", manifest.to_json())


def _photo(number: int, label: str, sha256: str) -> Photo:
    return Photo(
        task_id=f"task-{number}",
        photo_url=_url(number),
        sha256=sha256,
        phash=f"{number:016x}",
        cluster_id=f"{number:016x}",
        label=label,
        corrected=True,
        source=Source.CORRECTION,
        split=Split.TRAIN,
        confirmed_at="2026-01-01T00:00:00+00:00",
        width=_SIZE[0],
        height=_SIZE[1],
        brightness=0.5,
    )


def _uri(count: int) -> str:
    return f"s3://datasets/bench-{count}/"


def _url(number: int) -> str:
    return f"s3://tasks/{number % _DIFFERENT}.jpg"


def _decoded(body: bytes) -> npt.NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None, "OpenCV decodes what it encoded"
    return np.asarray(pixels, np.uint8)
