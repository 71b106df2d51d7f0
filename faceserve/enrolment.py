"""Who is compared with, in every version that is loaded."""

from collections.abc import Mapping

import numpy as np

from faceserve.batching import Batcher
from faceserve.features import FeatureExtractor
from faceserve.gallery import Gallery, read_input
from faceserve.lifecycle import ModelLifecycleManager
from faceserve.loading import Generation
from faceserve.slot import Slot


class Enrolment:
    """Changes stored photos and, in one step each, the gallery of every generation in memory."""

    def __init__(self, manager: ModelLifecycleManager, batcher: Batcher, galleries: Mapping[str, Gallery]) -> None:
        self._manager = manager
        self._batcher = batcher
        self._galleries = galleries

    def enroll(self, model: str, identity: str, photo: bytes) -> int:
        """Add an identity or replace its photo; how many there are now.

        Raises `BadRequest`, `BadPhoto` or `StorageUnavailable`.
        """
        slot = self._manager.slot(model)
        # A version that is being loaded reads the stored photos: it must see this one or be loaded already.
        with slot.loading:
            self._galleries[model].enroll(identity, photo)
            image = read_input(photo)[None]
            for generation in _loaded(slot):
                vector = extractor(self._batcher, generation).extract(image)[0]
                generation.comparison = generation.comparison.enrolled(identity, vector)
            return self._size(slot)

    def withdraw(self, model: str, identity: str) -> int:
        """Forget an identity; nothing happens when it is not there."""
        slot = self._manager.slot(model)
        with slot.loading:
            self._galleries[model].withdraw(identity)
            for generation in _loaded(slot):
                generation.comparison = generation.comparison.without(identity)
            return self._size(slot)

    def _size(self, slot: Slot) -> int:
        active = slot.snapshot.active
        return len(active.comparison) if active else 0


def extractor(batcher: Batcher, generation: Generation) -> FeatureExtractor:
    """Embeddings by this generation, when no request wants an engine."""
    return FeatureExtractor(lambda images: batcher.infer_when_idle(generation.engine, images))


def embed_gallery(batcher: Batcher, gallery: Gallery, generation: Generation) -> None:
    """Re-embed everybody enrolled with a generation that does not serve yet (design D7)."""
    generation.comparison = gallery.embedded(extractor(batcher, generation))


def warm_up(batcher: Batcher, generation: Generation) -> None:
    pixels = generation.input_pixels
    batcher.warm_up(generation.engine, np.zeros((pixels, pixels, 3), np.uint8))


def _loaded(slot: Slot) -> list[Generation]:
    with slot.change:
        return [*slot.snapshot.generations, *slot.prepared.values()]
