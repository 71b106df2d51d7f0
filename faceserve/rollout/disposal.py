"""Frees versions that no longer serve, in memory and on disk, without delaying requests."""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from faceserve.machine.memory import resident_bytes, return_freed
from faceserve.models.generation import Generation
from faceserve.models.loading import Loader
from faceserve.rollout.files import Files
from faceserve.rollout.rules import Keeping
from faceserve.rollout.slot import Slot, Slots

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Disposal:
    files: Files
    keeping: Keeping

    @classmethod
    def of(cls, slots: Slots, loader: Loader, keeping: Keeping) -> Self:
        return cls(Files(slots, loader), keeping)

    def soon(self, slot: Slot, gone: Sequence[Generation]) -> None:
        """After an exchange: free `gone`, the previous version if memory is short, and files that nobody needs."""
        _aside(self._tidy, slot, gone)

    def at_once(self, gone: Sequence[Generation]) -> None:
        """As soon as the last request on each is over."""
        for generation in gone:
            _aside(self.free, generation)

    def free(self, generation: Generation) -> None:
        """Waits for the last request. An engine that fails while it is closed is given up, and nothing else with it."""
        try:
            if not generation.close_when_idle(self.keeping.drain_seconds):
                log.warning("%s still had requests after %s s", generation.version, self.keeping.drain_seconds)
        except Exception:
            log.exception("%s could not be freed", generation.version)
        return_freed()

    def _tidy(self, slot: Slot, gone: Sequence[Generation]) -> None:
        # Some time after the exchange, and not on all replicas at once.
        time.sleep(random.uniform(1, 4) * self.keeping.calm_seconds)
        for generation in gone:
            self.free(generation)
        if resident_bytes() > self.keeping.warm_memory_bytes:
            self._cool(slot)
        self.files.tidy()

    def _cool(self, slot: Slot) -> None:
        """Free the previous version; a rollback to it loads it again."""
        with slot.change:
            before, after = slot.snapshot, slot.snapshot.without_previous()
            slot.exchange(after)
        for generation in before.gone(after):
            log.warning("%s is not kept warm: the memory budget is used up", generation.version)
            self.free(generation)


def _aside(work: Callable[..., None], *about: object) -> None:
    threading.Thread(target=work, args=about, name="disposal", daemon=True).start()
