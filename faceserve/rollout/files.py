"""Which artifacts stay on disk: those of versions in use, in a history, or on their way."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from faceserve.models.generation import Origin
from faceserve.models.loading import Loader
from faceserve.rollout.slot import Slot, Slots

log = logging.getLogger(__name__)


class Files:
    """Room is made before it is needed, so that a disk full of refused versions still takes the next one."""

    def __init__(self, slots: Slots, loader: Loader) -> None:
        self._slots = slots
        self._loader = loader
        self._loading: list[Origin] = []
        self._lock = threading.Lock()

    @contextmanager
    def loading(self, *origins: Origin) -> Iterator[None]:
        """Protects the files of these versions until they are in a snapshot, or never will be."""
        with self._lock:
            # What is half-written of them already is an earlier attempt's.
            self._forget(*origins)
            self._loading += origins
        try:
            yield
        finally:
            with self._lock:
                for origin in origins:
                    self._loading.remove(origin)

    def tidy(self) -> None:
        with self._lock:
            self._forget()

    def _forget(self, *but: Origin) -> None:
        needed = [origin for slot in self._slots.values() for origin in _needed(slot)]
        try:
            self._loader.forget_all_but([*needed, *but], self._loading)
        except Exception:
            # Without more room there may be room enough.
            log.exception("the disk could not be tidied")


def _needed(slot: Slot) -> list[Origin]:
    snapshot = slot.snapshot
    return [*(generation.origin for generation in snapshot.generations), *snapshot.history.entries, *slot.fallbacks]
