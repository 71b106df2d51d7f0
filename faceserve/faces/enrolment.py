"""The enrolled identities that photos are compared with, embedded by every version in memory."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import numpy.typing as npt

from faceserve.errors import StorageUnavailable
from faceserve.faces.comparison import Match, VectorComparisonEngine
from faceserve.faces.features import FeatureExtractor
from faceserve.faces.gallery import Gallery
from faceserve.inference.batching import Batcher
from faceserve.inference.photos import decoded
from faceserve.models.generation import Generation
from faceserve.rollout.lifecycle import ModelLifecycleManager

log = logging.getLogger(__name__)


class Enrolment:
    """Changes the stored photos and, in one step for each, the embeddings of every generation in memory.

    Embeddings of two versions must not be compared, so a request names the generation that embedded its photo.
    """

    def __init__(self, manager: ModelLifecycleManager, batcher: Batcher, galleries: Mapping[str, Gallery]) -> None:
        self._manager = manager
        self._batcher = batcher
        self._galleries = galleries
        self._missing: WeakSet[Generation] = WeakSet()
        self._embedded: WeakKeyDictionary[Generation, VectorComparisonEngine] = WeakKeyDictionary()

    def enroll(self, model: str, identity: str, photo: bytes) -> int:
        """Add an identity or replace its photo; returns how many identities there are now.

        Raises `BadRequest`, `BadPhoto`, `Overloaded` or `StorageUnavailable`.
        """
        slot = self._manager.slot(model)
        # A version that is being loaded reads the stored photos: either it finds this one, or it is loaded already.
        with slot.turn():
            self._galleries[model].enroll(identity, photo)
            image = decoded([photo])
            for generation in slot.snapshot.generations:
                vector = self._extractor(generation).extract(image)[0]
                self._embedded[generation] = self._of(generation).enrolled(identity, vector)
            return self._size(model)

    def withdraw(self, model: str, identity: str) -> int:
        """Forget an identity, if it is there; returns how many there are now. Raises what `enroll` raises."""
        slot = self._manager.slot(model)
        with slot.turn():
            self._galleries[model].withdraw(identity)
            for generation in slot.snapshot.generations:
                self._embedded[generation] = self._of(generation).without(identity)
            return self._size(model)

    def embed(self, generation: Generation) -> None:
        """Embed everybody enrolled with a generation that does not serve yet (design D7).

        A store that is away refuses a candidate, but does not keep a replica that serves nothing from coming back: then
        nobody is compared until `catch_up` finds the store again. Raises `StorageUnavailable`.
        """
        try:
            self._embedded[generation] = self._galleries[generation.model].embedded(self._extractor(generation))
        except StorageUnavailable as error:
            if self._manager.snapshot(generation.model).active:
                raise
            log.error("%s compares nobody yet: %s", generation.model, error)  # noqa: TRY400 - the text says it all
            self._missing.add(generation)

    def catch_up(self) -> None:
        """Embed for generations that came back without the gallery."""
        for generation in list(self._missing):
            slot = self._manager.slot(generation.model)
            with slot.loading, suppress(StorageUnavailable):
                if generation in slot.snapshot.generations:
                    self._embedded[generation] = self._galleries[generation.model].embedded(self._extractor(generation))
                self._missing.discard(generation)

    def nearest(self, generation: Generation, vector: npt.NDArray[np.float32], count: int) -> list[Match]:
        """The most similar first; `vector` is an embedding by this generation. Raises `StorageUnavailable`."""
        if generation in self._missing:
            raise StorageUnavailable("the gallery could not be read yet: ask another replica or later")
        return self._of(generation).nearest(vector, count)

    def _of(self, generation: Generation) -> VectorComparisonEngine:
        return self._embedded.get(generation, VectorComparisonEngine())

    def _size(self, model: str) -> int:
        active = self._manager.snapshot(model).active
        return len(self._of(active)) if active else 0

    def _extractor(self, generation: Generation) -> FeatureExtractor:
        """It runs when no request waits for an engine."""
        return FeatureExtractor(lambda images: self._batcher.infer_when_idle(generation.engine, images))
