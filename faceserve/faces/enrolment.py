"""The enrolled identities that photos are compared with, embedded by every version in memory."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from faceserve.errors import NoModel, Overloaded, StorageUnavailable
from faceserve.faces.comparison import Match, VectorComparisonEngine
from faceserve.faces.gallery import Gallery
from faceserve.faces.knowledge import FRESH_SECONDS, NOT_IN_TIME, Knowledge
from faceserve.faces.names import named
from faceserve.faces.portraits import OnAnswer, suiting, suiting_the
from faceserve.inference.batching import Batcher
from faceserve.models.generation import Generation
from faceserve.rollout.lifecycle import ModelLifecycleManager

log = logging.getLogger(__name__)

# Objects that people put there or deleted by hand are told by no change: all are listed again so often, or less often
# where listing takes long.
_LISTED_SECONDS, _LISTED_SHARE = 60.0, 0.05
_PATIENCE_SECONDS = 5.0
# Where nobody has compared for a while, looking is left to the request that does.
_BUSY_SECONDS, _IDLE_LOOK_SECONDS = 60.0, 10.0
# Fewer than the lifecycle port's spare places, so that a rollback always finds one.
_CHANGES_AT_ONCE = 4


class Enrolment:
    """Changes the stored photos, and keeps the embeddings of every generation in memory as the photos are.

    What a generation knows counts for `FRESH_SECONDS`; then it looks again whether anything changed, and names nobody
    until it did.
    """

    def __init__(self, manager: ModelLifecycleManager, batcher: Batcher, galleries: Mapping[str, Gallery]) -> None:
        self._manager = manager
        self._galleries = galleries
        self._knowledge = Knowledge(manager, batcher, galleries)
        self._changing = threading.BoundedSemaphore(_CHANGES_AT_ONCE)
        self._away: set[str] = set()
        self._compared_at: dict[str, float] = {}
        self._looked_at: dict[str, float] = {}
        # When the last listing ended, and how long it took.
        self._listed: dict[str, tuple[float, float]] = {}

    def enroll(self, model: str, identity: str, photo: bytes) -> int:
        """Add an identity or replace its photo; returns how many identities there are now, as far as is known here.

        The version that serves says what a photo has to show: where none does, nobody knows. Raises `BadRequest`,
        `BadPhoto`, `NoModel`, `Overloaded`, `Withdrew` or `StorageUnavailable`.
        """
        snapshot = self._manager.snapshot(model)
        with self._change():
            self._galleries[model].enroll(identity, photo, suiting_the(lambda: snapshot.demand("")))
            return self._counted(model)

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
            left = self._counted(model)
            time.sleep(max(0.0, forgotten_at - time.monotonic()))
            return left

    def embed(self, generation: Generation) -> None:
        """Embed everybody enrolled with a generation that does not serve yet (design D7).

        A store that is away refuses a candidate, but does not keep a replica that serves nothing from coming back: then
        nobody is compared until the store is there again. What took long is kept at once: who asked for this version
        may have given up waiting, and asks again. Raises `StorageUnavailable`.
        """
        try:
            self._knowledge.look(generation)
            self._knowledge.keep(generation)
        except StorageUnavailable as error:
            if self._manager.snapshot(generation.model).active:
                raise
            log.error("%s compares nobody yet: %s", generation.model, error)  # noqa: TRY400 - the text says it all

    def look(self, model: str) -> None:
        """Whether a gallery changed, for all generations in memory; to be called several times a second."""
        if not self._galleries[model].there or not self._due(model):
            return
        try:
            for generation in self._knowledge.held(model):
                self._knowledge.look(generation)
            self._away.discard(model)
        except StorageUnavailable as error:
            if model not in self._away:
                log.warning("%s compares nobody until its gallery can be looked at: %s", model, error)
            self._away.add(model)

    def list_again(self, model: str) -> None:
        """Finds what was put there or deleted by hand; looks do not wait for it. To be called now and then."""
        began = time.monotonic()
        ended, took = self._listed.setdefault(model, (began, 0.0))
        if not self._galleries[model].there or began < ended + max(_LISTED_SECONDS, took / _LISTED_SHARE):
            return
        try:
            self._knowledge.list_again(model)
        except StorageUnavailable as error:
            log.warning("%s does not know what was done by hand in its gallery: %s", model, error)
        finally:
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
        looked = self._knowledge.of(generation)
        while looked is None or not looked.fresh:
            # Looking may have taken so long that its result is outdated.
            if not generation.hold():
                raise NoModel(f"{generation.version} was freed before it could compare: ask again")
            try:
                looked = self._knowledge.look(generation, max(0.0, until - time.monotonic()))
            finally:
                generation.release()
            if time.monotonic() > until and not looked.fresh:
                raise StorageUnavailable(NOT_IN_TIME)
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

    def _counted(self, model: str) -> int:
        """How many are enrolled, according to the active generation, after those that know anybody have looked.

        Whoever still embeds everybody does so elsewhere: a change is made by then, and keeps no other from its place.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        for generation in self._knowledge.held(model):
            if self._knowledge.of(generation):
                self._knowledge.look(generation, max(0.0, until - time.monotonic()))
        looked = self._knowledge.of(self._manager.snapshot(model).active)
        return len(looked.known.faces) if looked else 0
