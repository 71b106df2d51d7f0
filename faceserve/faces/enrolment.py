"""The enrolled identities that photos are compared with, embedded by every version in memory."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from faceserve.errors import NoModel, Overloaded, StorageUnavailable
from faceserve.faces.comparison import Match, VectorComparisonEngine
from faceserve.faces.features import FeatureExtractor
from faceserve.faces.gallery import LOG_SECONDS, Gallery, named
from faceserve.faces.kept import Known
from faceserve.faces.portraits import OnAnswer, suiting, suiting_the
from faceserve.inference.batching import Batcher
from faceserve.models.generation import Generation
from faceserve.rollout.lifecycle import ModelLifecycleManager

log = logging.getLogger(__name__)

# After this time a look at the gallery no longer counts: another replica may have withdrawn somebody since.
FRESH_SECONDS = 1.0
# Objects that people put there or deleted by hand are told by no change: all are listed again so often, or less often
# where listing takes long.
_LISTED_SECONDS, _LISTED_SHARE = 60.0, 0.05
_PATIENCE_SECONDS = 5.0
# Where nobody has compared for a while, looking is left to the request that does.
_BUSY_SECONDS, _IDLE_LOOK_SECONDS = 60.0, 10.0
# Fewer than the lifecycle port's spare places, so that a rollback always finds one.
_CHANGES_AT_ONCE = 4
_NOT_IN_TIME = "the gallery could not be read in time: ask another replica or later"


@dataclass(frozen=True)
class _Looked:
    """What a generation knows; `at` is when it began to look, in seconds of the monotonic clock."""

    known: Known
    at: float


class Enrolment:
    """Changes the stored photos, and keeps the embeddings of every generation in memory as the photos are.

    Each generation has embeddings of its own, since those of two versions must not be compared: it embeds everybody,
    or turns what another one knows. What it knows counts for `FRESH_SECONDS`; then it looks again whether anything
    changed, and names nobody until it did.
    """

    def __init__(self, manager: ModelLifecycleManager, batcher: Batcher, galleries: Mapping[str, Gallery]) -> None:
        self._manager = manager
        self._batcher = batcher
        self._galleries = galleries
        self._looked: WeakKeyDictionary[Generation, _Looked] = WeakKeyDictionary()
        # Of each generation: one that embeds everybody for minutes keeps no other from looking.
        self._looking: WeakKeyDictionary[Generation, threading.Lock] = WeakKeyDictionary()
        self._of_looking = threading.Lock()
        self._changing = threading.BoundedSemaphore(_CHANGES_AT_ONCE)
        self._away: set[str] = set()
        self._compared_at: dict[str, float] = {}
        self._looked_at: dict[str, float] = {}
        # When the last listing ended, and how long it took.
        self._listed: dict[str, tuple[float, float]] = {}

    def enroll(self, model: str, identity: str, photo: bytes) -> int:
        """Add an identity or replace its photo; returns how many identities there are now.

        The version that serves says what a photo has to show: where none does, nobody knows. Raises `BadRequest`,
        `BadPhoto`, `NoModel`, `Overloaded`, `Withdrew` or `StorageUnavailable`.
        """
        snapshot = self._manager.snapshot(model)
        with self._change():
            self._galleries[model].enroll(identity, photo, suiting_the(lambda: snapshot.demand("")))
            return self._seen(model)

    @staticmethod
    def looking(photo: bytes) -> OnAnswer:
        """What raises `BadPhoto` before a version compares a photo that shows too little for it."""
        return suiting(photo)

    def withdraw(self, model: str, identity: str) -> int:
        """Forget an identity, if it is there; returns how many there are now. Raises what `enroll` raises.

        It returns when no replica can name this identity any more.
        """
        self._manager.slot(model)
        with self._change():
            self._galleries[model].withdraw(identity)
            forgotten_at = time.monotonic() + FRESH_SECONDS
            left = self._seen(model)
            time.sleep(max(0.0, forgotten_at - time.monotonic()))
            return left

    def embed(self, generation: Generation) -> None:
        """Embed everybody enrolled with a generation that does not serve yet (design D7).

        A store that is away refuses a candidate, but does not keep a replica that serves nothing from coming back: then
        nobody is compared until the store is there again. What took long is kept at once: who asked for this version
        may have given up waiting, and asks again. Raises `StorageUnavailable`.
        """
        try:
            self._look(generation)
            self._keep(generation)
        except StorageUnavailable as error:
            if self._manager.snapshot(generation.model).active:
                raise
            log.error("%s compares nobody yet: %s", generation.model, error)  # noqa: TRY400 - the text says it all

    def look(self) -> None:
        """Whether any gallery changed, for all generations in memory; to be called several times a second."""
        for model, gallery in self._galleries.items():
            if not gallery.there or not self._due(model):
                continue
            try:
                self._seen(model)
                self._away.discard(model)
            except StorageUnavailable as error:
                if model not in self._away:
                    log.warning("%s compares nobody until its gallery can be looked at: %s", model, error)
                self._away.add(model)

    def list_again(self) -> None:
        """Finds what was put there or deleted by hand; looks do not wait for it."""
        for model, gallery in self._galleries.items():
            began = time.monotonic()
            ended, took = self._listed.setdefault(model, (began, 0.0))
            if not gallery.there or began < ended + max(_LISTED_SECONDS, took / _LISTED_SHARE):
                continue
            for generation in self._held(model):
                if generation in self._looked:
                    self._list(generation, gallery)
                    self._keep(generation)
            self._listed[model] = time.monotonic(), time.monotonic() - began

    def nearest(
        self, generation: Generation, vector: npt.NDArray[np.float32], count: int, deadline: float = float("inf")
    ) -> tuple[list[Match], int]:
        """The most similar first, and of how many; `vector` is an embedding by this generation, `deadline` in monotonic
        seconds.

        Raises `StorageUnavailable` when it cannot be known in time who is enrolled.
        """
        faces = self._faces(generation, deadline)
        return faces.nearest(vector, count), len(faces)

    def with_one(
        self, generation: Generation, vector: npt.NDArray[np.float32], identity: str, deadline: float = float("inf")
    ) -> list[Match]:
        """How much a photo resembles this person, nothing where nobody of that name is enrolled; as `nearest`.

        Raises `BadRequest`, too, for what is nobody's name.
        """
        name = named(identity)
        return self._faces(generation, deadline).with_one(name, vector)

    # Inside

    def _faces(self, generation: Generation, deadline: float) -> VectorComparisonEngine:
        """Everybody who is enrolled, as of a moment ago."""
        if not self._galleries[generation.model].there:
            return VectorComparisonEngine()
        self._compared_at[generation.model] = time.monotonic()
        until = min(deadline, time.monotonic() + _PATIENCE_SECONDS)
        looked = self._looked.get(generation)
        while looked is None or not _fresh(looked):
            # Looking may have taken so long that its result is outdated.
            if not generation.hold():
                raise NoModel(f"{generation.version} was freed before it could compare: ask again")
            try:
                looked = self._look(generation, max(0.0, until - time.monotonic()))
            finally:
                generation.release()
            if time.monotonic() > until and not _fresh(looked):
                raise StorageUnavailable(_NOT_IN_TIME)
        return looked.known.faces

    @contextmanager
    def _change(self) -> Iterator[None]:
        if not self._changing.acquire(blocking=False):
            raise Overloaded(f"{_CHANGES_AT_ONCE} people are being enrolled or withdrawn: try again later")
        try:
            yield
        finally:
            self._changing.release()

    def _due(self, model: str) -> bool:
        now, never = time.monotonic(), float("-inf")
        busy = now - self._compared_at.get(model, never) < _BUSY_SECONDS
        if not busy and now - self._looked_at.get(model, never) < _IDLE_LOOK_SECONDS:
            return False
        self._looked_at[model] = now
        return True

    def _seen(self, model: str) -> int:
        """Have every generation look; returns how many are enrolled, according to the active one."""
        snapshot = self._manager.snapshot(model)
        for generation in self._held(model):
            self._look(generation)
        looked = self._looked.get(snapshot.active) if snapshot.active else None
        return len(looked.known.faces) if looked else 0

    def _held(self, model: str) -> Iterator[Generation]:
        """Every generation in memory, none of which is freed while it is looked at."""
        for generation in self._manager.snapshot(model).generations:
            if generation.hold():
                try:
                    yield generation
                finally:
                    generation.release()

    def _look(self, generation: Generation, seconds: float = threading.TIMEOUT_MAX) -> _Looked:
        """Look whether anything changed; who waited longer than `seconds` for others that look with it is told so."""
        gallery, arrived = self._galleries[generation.model], time.monotonic()
        looking = self._lock_of(generation)
        if not looking.acquire(timeout=seconds):
            raise StorageUnavailable(_NOT_IN_TIME)
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

    def _looked_anew(self, generation: Generation, gallery: Gallery, before: _Looked | None) -> _Looked:
        began = time.monotonic()
        revision = gallery.revision() if gallery.there else ""
        before = before or self._turned(generation, gallery)
        if before and before.known.revision == revision:
            return _Looked(before.known, began)
        extractor, known = self._extractor(generation), None
        if before and began - before.at < LOG_SECONDS:
            known = gallery.updated(extractor, revision, before.known)
        return _Looked(known or gallery.known(extractor, revision, before.known if before else None), began)

    def _list(self, generation: Generation, gallery: Gallery) -> None:
        extractor, known = self._extractor(generation), self._looked[generation].known
        listing = gallery.looked_at(extractor, gallery.listing(known.changes), known)
        with self._lock_of(generation):
            now = self._looked[generation]
            self._looked[generation] = _Looked(gallery.corrected(listing, now.known), now.at)

    def _keep(self, generation: Generation) -> None:
        gallery, known = self._galleries[generation.model], self._looked[generation].known
        try:
            gallery.kept.keep(generation.projection, known, gallery.revision)
        except StorageUnavailable as error:
            log.warning("what %s knows is not kept: %s", generation.version, error)

    def _lock_of(self, generation: Generation) -> threading.Lock:
        with self._of_looking:
            return self._looking.setdefault(generation, threading.Lock())

    def _turned(self, generation: Generation, gallery: Gallery) -> _Looked | None:
        """What another version knows, or was kept, in this one's embeddings: of 100 000 people that takes a second or
        two, and embedding their photos half an hour. None where nobody is known, or by another network.
        """
        for looked in self._known_elsewhere(generation, gallery):
            if gallery.agrees(self._extractor(generation), looked.known):
                return looked
            log.warning("%s says something else of photos than its head does: all are embedded", generation.version)
        return None

    def _known_elsewhere(self, generation: Generation, gallery: Gallery) -> Iterator[_Looked]:
        ours = generation.projection
        for other in self._manager.snapshot(generation.model).generations:
            looked = self._looked.get(other)
            if ours is None or other.projection is None or looked is None or not len(looked.known.faces):
                continue
            if (matrix := other.projection.to(ours)) is not None:
                yield _Looked(replace(looked.known, faces=looked.known.faces.turned(matrix)), looked.at)
        if (kept := gallery.kept.read(ours)) is not None:
            # Nobody knows what happened since: everybody is listed.
            yield _Looked(kept, float("-inf"))

    def _extractor(self, generation: Generation) -> FeatureExtractor:
        return FeatureExtractor(lambda images: self._batcher.infer_when_idle(generation.engine, images))


def _fresh(looked: _Looked) -> bool:
    return time.monotonic() - looked.at < FRESH_SECONDS
