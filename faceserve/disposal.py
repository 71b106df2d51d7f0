"""Frees versions that serve no more, in memory and on disk; away from the requests."""

import logging
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from faceserve.loading import Generation, Loader
from faceserve.memory import resident_bytes, return_freed
from faceserve.slot import Slot

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Disposal:
    """`drain_seconds` is how long requests may finish on a version; `calm_seconds` how long freeing waits at least.

    Beyond `warm_memory_bytes` of this process previous versions are not kept warm.
    """

    slots: Mapping[str, Slot]
    loader: Loader
    drain_seconds: float
    calm_seconds: float
    warm_memory_bytes: float

    def soon(self, slot: Slot, gone: Sequence[Generation]) -> None:
        """After an exchange: free `gone`, what memory does not suffice for, and files that nobody needs."""
        threading.Thread(target=self._tidy, args=(slot, gone), daemon=True).start()

    def at_once(self, generation: Generation) -> None:
        """As soon as its last request is over."""
        threading.Thread(target=self.free, args=(generation,), daemon=True).start()

    def free(self, generation: Generation) -> None:
        """Waits for the last request."""
        if not generation.close_when_idle(self.drain_seconds):
            log.warning("%s still had requests after %s s", generation.origin.version, self.drain_seconds)
        return_freed()

    def _tidy(self, slot: Slot, gone: Sequence[Generation]) -> None:
        # Some time after the exchange, and not on all replicas at once.
        time.sleep(random.uniform(1, 4) * self.calm_seconds)
        for generation in gone:
            self.free(generation)
        self._keep_within_budget(slot)
        slots = self.slots.values()
        in_use = [generation.origin for one in slots for generation in list(one.prepared.values())]
        in_use += [generation.origin for one in slots for generation in one.snapshot.generations]
        self.loader.forget_all_but([*in_use, *(origin for one in slots for origin in one.history)])

    def _keep_within_budget(self, slot: Slot) -> None:
        """Without memory for it, the previous version is loaded again when it is rolled back to."""
        if resident_bytes() <= self.warm_memory_bytes:
            return
        with slot.change:
            previous = slot.snapshot.previous
            if previous is None:
                return
            slot.snapshot = replace(slot.snapshot, previous=None)
        log.warning("%s is not kept warm: the memory budget is used up", previous.origin.version)
        self.free(previous)
