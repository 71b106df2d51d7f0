"""One model name: what serves, taken by requests without a lock and replaced by one reference."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from faceserve.canary import Share, Side, Trial
from faceserve.errors import NoModel, UnknownModel
from faceserve.loading import Generation, Origin


@dataclass(frozen=True)
class Canary:
    """A candidate that answers `share` of the requests; in `shadow` its answers are compared and thrown away."""

    generation: Generation
    share: Share
    trial: Trial
    shadow: bool = False


@dataclass(frozen=True)
class Concluded:
    """How the last canary ended."""

    version: str
    outcome: str
    reason: str


@dataclass(frozen=True)
class Snapshot:
    """What serves: taken once by a request, which keeps it to its end. `epoch` only grows."""

    active: Generation | None = None
    previous: Generation | None = None
    canary: Canary | None = None
    epoch: int = 0

    @property
    def generations(self) -> list[Generation]:
        canary = self.canary.generation if self.canary else None
        return [generation for generation in (self.active, self.previous, canary) if generation]


@dataclass(frozen=True)
class Lease:
    """What one request works with; `canary` is set while one is on trial, whichever side the request is on."""

    generation: Generation
    epoch: int
    side: Side = "stable"
    canary: Canary | None = None
    mirrored: bool = False


@dataclass
class Slot:
    """`change` guards what follows for the moment of a change; loading, which takes seconds, has a lock of its own."""

    model: str
    snapshot: Snapshot = field(default_factory=Snapshot)
    prepared: dict[str, Generation] = field(default_factory=dict)
    history: list[Origin] = field(default_factory=list)
    concluded: Concluded | None = None
    change: threading.RLock = field(default_factory=threading.RLock)
    loading: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def lease(self, version: str = "", task_id: str = "") -> Iterator[Lease]:
        """What answers this request, held until it ends. No lock is waited for.

        Raises `UnknownModel` or `NoModel`.
        """
        while True:
            lease = self._chosen(self.snapshot, version, task_id)
            if lease.generation.hold():
                break
        try:
            yield lease
        finally:
            lease.generation.release()

    def loaded(self, version: str) -> Generation | None:
        """A version in memory, whatever it is there for."""
        for generation in (*self.snapshot.generations, *self.prepared.values()):
            if generation.origin.version == version:
                return generation
        return None

    def _chosen(self, snapshot: Snapshot, version: str, task_id: str) -> Lease:
        active, canary = snapshot.active, snapshot.canary
        if active is None:
            raise NoModel(f"no version of {self.model} serves on this replica yet")
        if version:
            for generation in snapshot.generations:
                if generation.origin.version == version:
                    return Lease(generation, snapshot.epoch)
            raise UnknownModel(f"{self.model} {version[:40]!r} is not loaded; {active.origin.version} is active")
        if canary is None:
            return Lease(active, snapshot.epoch)
        chosen = canary.share.has(task_id)
        if chosen and not canary.shadow:
            return Lease(canary.generation, snapshot.epoch, "canary", canary)
        return Lease(active, snapshot.epoch, "stable", canary, mirrored=chosen)
