"""The demo's photos as features of the frozen backbone, computed once; and the head that every study trains on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from include.bench.measurement import Say
from include.bench.photos import LABELS, a_photo
from include.demo.photos import PhotoSpec, base_specs, draw_all, live_specs
from pipeline.domain.dataset import Augmentation, Photo
from pipeline.learning import features
from pipeline.learning.augmentation import AlbumentationsAugmenter
from pipeline.learning.devices import strategy
from pipeline.learning.efficientnet_lite0 import backbone
from pipeline.learning.photos import PillowPhotoInspector
from pipeline.learning.shards import unpack

ARCHIVE, LIVE = 400, 1400
_PHOTOS_A_SHARD = 100
_ITERATIONS = 300
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Material:
    """`images` float32 [photos, copies, width], copy 0 the photo itself; archive first, then what came in live."""

    images: npt.NDArray[np.float32]
    labels: Numbers
    photos: tuple[Photo, ...]

    @property
    def archive(self) -> Numbers:
        return np.arange(ARCHIVE)

    @property
    def live(self) -> Numbers:
        return np.arange(ARCHIVE, ARCHIVE + LIVE)

    def augmented(self, numbers: Sequence[int] | Numbers) -> tuple[npt.NDArray[np.float32], Numbers]:
        """Every copy of these photos, with labels."""
        chosen = self.images[np.asarray(numbers, int)]
        return chosen.reshape(-1, chosen.shape[-1]), self.labels[np.asarray(numbers, int)].repeat(chosen.shape[1])


def gather(say: Say) -> Material:
    return seen([*base_specs(ARCHIVE, 11), *live_specs(LIVE, 11)], Augmentation(), say)


def seen(specs: Sequence[PhotoSpec], augmentation: Augmentation, say: Say) -> Material:
    """These photos and their augmented copies, looked at by the backbone."""
    bodies = list(draw_all(specs))
    say(f"{len(bodies)} photos drawn")
    inspector = PillowPhotoInspector()
    hashes = [f"{inspector.fingerprint(body).phash:016x}" for body in bodies]
    named = enumerate(zip(specs, hashes, strict=True))
    photos = [a_photo(number, spec.label, phash=phash, cluster_id=phash) for number, (spec, phash) in named]
    network, augmenter, parts = backbone(), AlbumentationsAugmenter(), []
    for start in range(0, len(photos), _PHOTOS_A_SHARD):
        some = list(zip(photos, bodies, strict=True))[start : start + _PHOTOS_A_SHARD]
        shard = augmenter.shard(some, augmentation=augmentation, labels=LABELS)
        parts.append(features.extract(lambda: network, strategy(), {"photos": unpack([shard]).images})[0])
    found = np.concatenate(parts)
    say(f"{len(found)} images seen by the backbone")
    labels = np.array([LABELS.index(photo.label) for photo in photos])
    return Material(found.reshape(len(photos), -1, found.shape[-1]), labels, tuple(photos))


class Head:
    """One dense softmax layer on the features: what the pipeline trains, fitted to the end instead of by epochs."""

    def __init__(self) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        fitted = LogisticRegression(C=0.01, class_weight="balanced", max_iter=_ITERATIONS)
        self._model: Any = make_pipeline(StandardScaler(), fitted)
        self._only: int | None = None

    def fit(self, images: npt.NDArray[np.float32], labels: Numbers) -> "Head":
        """Learn; from photos of one class alone it learns to give always that answer."""
        found = np.unique(labels)
        self._only = int(found[0]) if len(found) == 1 else None
        if self._only is None:
            self._model.fit(images, labels)
        return self

    def predict(self, images: npt.NDArray[np.float32]) -> Numbers:
        if self._only is not None:
            return np.full(len(images), self._only)
        return np.asarray(self._model.predict(images))

    def accuracy(self, images: npt.NDArray[np.float32], labels: Numbers) -> float:
        return float((self.predict(images) == labels).mean())
