"""What every version in memory knows of who is enrolled, in embeddings of its own."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakKeyDictionary

from faceserve.errors import StorageUnavailable
from faceserve.faces.changes import SURE_SECONDS
from faceserve.faces.features import FeatureExtractor
from faceserve.faces.gallery import Gallery
from faceserve.faces.kept import Known
from faceserve.inference.batching import Batcher
from faceserve.models.generation import Generation
from faceserve.rollout.lifecycle import ModelLifecycleManager

log = logging.getLogger(__name__)

# After this time a look at the gallery no longer counts: another replica may have withdrawn somebody since.
FRESH_SECONDS = 1.0
NOT_IN_TIME = "the gallery could not be read in time: ask another replica or later"


@dataclass(frozen=True)
class Looked:
    """What a generation knows; `at` is when it began to look, in seconds of the monotonic clock."""

    known: Known
    at: float

    @property
    def fresh(self) -> bool:
        return time.monotonic() - self.at < FRESH_SECONDS


class Knowledge:
    """Each generation has embeddings of its own, since those of two versions must not be compared: it embeds everybody,
    or turns what another one knows, or what was kept.
    """

    def __init__(self, manager: ModelLifecycleManager, batcher: Batcher, galleries: Mapping[str, Gallery]) -> None:
        self._manager = manager
        self._batcher = batcher
        self._galleries = galleries
        self._looked: WeakKeyDictionary[Generation, Looked] = WeakKeyDictionary()
        # Of each generation: one that embeds everybody for minutes keeps no other from looking.
        self._looking: WeakKeyDictionary[Generation, threading.Lock] = WeakKeyDictionary()
        self._of_looking = threading.Lock()

    def of(self, generation: Generation | None) -> Looked | None:
        """None before the first look."""
        return self._looked.get(generation) if generation else None

    def held(self, model: str) -> Iterator[Generation]:
        """Every generation in memory, none of which is freed while it is looked at."""
        for generation in self._manager.snapshot(model).generations:
            if generation.hold():
                try:
                    yield generation
                finally:
                    generation.release()

    def look(self, generation: Generation, seconds: float = threading.TIMEOUT_MAX) -> Looked:
        """Look whether anything changed; who waited longer than `seconds` for others that look with it is told so.

        Raises `StorageUnavailable`.
        """
        gallery, arrived = self._galleries[generation.model], time.monotonic()
        looking = self._lock_of(generation)
        if not looking.acquire(timeout=seconds):
            raise StorageUnavailable(NOT_IN_TIME)
        try:
            before = self._looked.get(generation)
            if before and before.at > arrived:
                return before
            looked = self._looked_anew(generation, gallery, before)
            self._looked[generation] = looked
            return looked
        except StorageUnavailable as error:
            raise StorageUnavailable(
                f"the gallery could not be read yet, ask another replica or later: {error}"
            ) from None
        finally:
            looking.release()

    def list_again(self, model: str) -> None:
        """What was put there or deleted by hand is known afterwards, and what is kept agrees; looks do not wait.

        Raises `StorageUnavailable`.
        """
        gallery = self._galleries[model]
        for generation in self.held(model):
            if generation in self._looked:
                self._list(generation, gallery)
                gallery.kept.forget_gone(self._looked[generation].known)
                self.keep(generation)

    def keep(self, generation: Generation) -> None:
        """For replicas that start, and for the next try of a version. A store that is away is told in the log."""
        gallery = self._galleries[generation.model]
        try:
            # Again: what was known may be older than what the log remembers.
            known = self.look(generation).known
            gallery.kept.keep(generation.projection, known, partial(gallery.left_since, known))
        except StorageUnavailable as error:
            log.warning("what %s knows is not kept: %s", generation.version, error)

    def _looked_anew(self, generation: Generation, gallery: Gallery, before: Looked | None) -> Looked:
        began = time.monotonic()
        revision = gallery.revision() if gallery.there else ""
        before = before or self._turned(generation, gallery)
        if before and before.known.revision == revision:
            return Looked(before.known, began)
        extractor, known = self._extractor(generation), None
        if before and began - before.at < SURE_SECONDS:
            known = gallery.updated(extractor, revision, before.known)
        return Looked(known or gallery.known(extractor, revision, before.known if before else None), began)

    def _list(self, generation: Generation, gallery: Gallery) -> None:
        extractor, known = self._extractor(generation), self._looked[generation].known
        listing = gallery.looked_at(extractor, gallery.listing(known.changes), known)
        with self._lock_of(generation):
            now = self._looked[generation]
            self._looked[generation] = Looked(gallery.corrected(listing, now.known), now.at)

    def _lock_of(self, generation: Generation) -> threading.Lock:
        with self._of_looking:
            return self._looking.setdefault(generation, threading.Lock())

    def _turned(self, generation: Generation, gallery: Gallery) -> Looked | None:
        """What another version knows, or was kept, in this one's embeddings: of 100 000 people that takes a second or
        two, and embedding their photos half an hour. None where nobody is known, or by another network.
        """
        for looked in self._known_elsewhere(generation, gallery):
            if gallery.agrees(self._extractor(generation), looked.known):
                return looked
            log.warning("%s says something else of photos than its head does: all are embedded", generation.version)
        return None

    def _known_elsewhere(self, generation: Generation, gallery: Gallery) -> Iterator[Looked]:
        ours = generation.projection
        for other in self._manager.snapshot(generation.model).generations:
            looked = self._looked.get(other)
            if ours is None or other.projection is None or looked is None or not len(looked.known.faces):
                continue
            if (matrix := other.projection.to(ours)) is not None:
                yield Looked(replace(looked.known, faces=looked.known.faces.turned(matrix)), looked.at)
        if (kept := gallery.kept.read(ours)) is not None:
            # Nobody knows what happened since: everybody is listed.
            yield Looked(kept, float("-inf"))

    def _extractor(self, generation: Generation) -> FeatureExtractor:
        return FeatureExtractor(lambda images: self._batcher.infer_when_idle(generation.engine, images))
