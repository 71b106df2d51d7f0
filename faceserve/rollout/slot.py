"""One model name on this replica: its snapshot, taken by requests without a lock and replaced by one reference."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faceserve.errors import DiskUnusable, NoModel, Overloaded, TooLate, UnknownModel
from faceserve.models.generation import Origin
from faceserve.rollout.orders import Order
from faceserve.rollout.snapshot import Lease, Snapshot
from faceserve.rollout.state import StateFile
from faceserve.rollout.turns import Turns, Wanted

log = logging.getLogger(__name__)

# At most this many calls for one model may load, enrol or wait to: each takes a thread of the lifecycle service.
MAX_LOADING = 4

Counted = Callable[[Snapshot, Snapshot], None]


@dataclass(frozen=True)
class Changed:
    """The snapshots before and after a change, and the seconds of their exchange."""

    before: Snapshot
    after: Snapshot
    seconds: float = 0.0

    @property
    def answers_otherwise(self) -> bool:
        """Whether what answers requests changed."""
        return self.after.epoch != self.before.epoch


class Slot:
    """`change` is held for the moment of an exchange, `loading` for the seconds that loading a version takes.

    `kept` is what is on disk. `makeshift_epoch` is the epoch since which a version serves that only stands in: what
    should could not be loaded, or the registry did not say yet what that is.
    """

    def __init__(self, model: str, state_dir: Path) -> None:
        self.model = model
        self.file = StateFile(state_dir, model)
        # Before anything else happens, because epochs and history go on from here.
        self.kept = self.file.recovered()
        self.snapshot = Snapshot(model).remembering(self.kept) if self.kept else Snapshot(model)
        self.makeshift_epoch: int | None = None
        self.change = threading.RLock()
        self.loading = Turns()
        self._places = threading.BoundedSemaphore(MAX_LOADING)

    @property
    def settled(self) -> bool:
        """Whether a version serves that is not a mere stand-in."""
        now = self.snapshot
        return now.active is not None and now.epoch != self.makeshift_epoch

    @property
    def fallbacks(self) -> list[Origin]:
        """What a start loads, if the registry knows nothing newer."""
        return [one for one in (self.kept.active, self.kept.previous) if one] if self.kept else []

    @contextmanager
    def lease(self, version: str = "", task_id: str = "") -> Iterator[Lease]:
        """What answers this request, held until it ends. No lock is waited for.

        Raises `UnknownModel` or `NoModel`.
        """
        while True:
            seen = self.snapshot
            lease = seen.lease(version, task_id)
            if lease.generation.hold():
                break
            if self.snapshot is seen:
                raise NoModel(f"{self.model} {lease.generation.version} was freed: ask again")
        try:
            yield lease
        finally:
            lease.generation.release()

    @contextmanager
    def turn(self, wanted: Wanted = lambda: True) -> Iterator[None]:
        """Hold `loading`. Raises `Overloaded` if too many wait for it already, and what `Turns.taken` does."""
        if not self._places.acquire(blocking=False):
            raise Overloaded(f"{MAX_LOADING} calls load a version of {self.model} or wait to: try again later")
        try:
            with self.loading.taken(wanted=wanted):
                yield
        finally:
            self._places.release()

    def changed(self, order: Order, decide: Callable[[Snapshot], Snapshot], counted: Counted) -> Changed:
        """What `decide` makes of the snapshot becomes the snapshot, unless this order was carried out already.

        `counted` is called under the lock and must call nobody. Raises what `decide` does, `NameTaken`, `StaleEpoch`,
        `TooLate` or `DiskUnusable`.
        """
        with self.change:
            before = self.snapshot
            if before.did(order):
                return Changed(before, before)
            if not order.wanted():
                raise TooLate("nobody waits for this change any more, so it was not made")
            after = decide(before)
            if after is not before:
                before.demand_epoch(order.expected_epoch)
            after = after.noting(order)
            if after is before:
                return Changed(before, before)
            seconds = self.exchange(after)
            counted(before, after)
            return Changed(before, after, seconds)

    def exchange(self, after: Snapshot) -> float:
        """Replace the snapshot, under `change`; the seconds that the replacement itself took.

        What must survive a restart is kept on disk first: a replica that dies right after the exchange comes back with
        what it answered. Raises `DiskUnusable`, but a full disk keeps no candidate that does harm, and what a restart
        needs to know nothing of is done all the same.
        """
        if after.remembered and after.remembered != self.kept:
            try:
                self.file.write(after.remembered)
                self.kept = after.remembered
            except DiskUnusable as error:
                news = after.remembered != self.snapshot.remembered
                if news and not after.only_ends_trial(self.snapshot):
                    raise
                log.error("%s: what a restart needs is not on disk yet: %s", self.model, error)  # noqa: TRY400
        started = time.perf_counter()
        self.snapshot = after
        return time.perf_counter() - started


class Slots(dict[str, Slot]):
    """By model name; any other name raises `UnknownModel`."""

    def __init__(self, models: Iterable[str], state_dir: Path) -> None:
        super().__init__((model, Slot(model, state_dir)) for model in models)

    def __missing__(self, model: str) -> Slot:
        raise UnknownModel(f"no model {model[:40]!r}, only {', '.join(self)}")
