"""ModelLifecycleManager: replaces the model that serves while requests go on (specification §3.1, messages 35-39)."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from faceserve.models.generation import Origin
from faceserve.models.loading import Loader
from faceserve.rollout.changes import Changes
from faceserve.rollout.orders import Order
from faceserve.rollout.preparation import Preparation, Prepared, Problem, Word
from faceserve.rollout.rules import Rules
from faceserve.rollout.slot import Slot, Slots
from faceserve.rollout.snapshot import Lease, Snapshot

_ANYONE = Order()


@dataclass(frozen=True)
class Activated:
    """`swap_milliseconds` is 0 when the version served already."""

    version: str
    previous: str | None
    epoch: int
    swap_milliseconds: float


class ModelLifecycleManager:
    """Does what `Snapshot` decides: load, exchange one reference, drain, free. Every call may be repeated.

    Only a call that has to load a version waits while another one is loaded.
    """

    def __init__(
        self, models: tuple[str, ...], loader: Loader, state_dir: Path, changes: Changes, rules: Rules
    ) -> None:
        self._slots = Slots(models, state_dir)
        self._rules = rules
        self._preparation = Preparation.of(self._slots, loader, changes, rules.keeping)
        self._disposal = self._preparation.disposal
        self.changes = changes

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self._slots)

    def slot(self, model: str) -> Slot:
        """Raises `UnknownModel`."""
        return self._slots[model]

    def snapshot(self, model: str) -> Snapshot:
        return self.slot(model).snapshot

    @contextmanager
    def lease(self, model: str, version: str = "", task_id: str = "") -> Iterator[Lease]:
        """See `Slot.lease`."""
        with self.slot(model).lease(version, task_id) as lease:
            yield lease

    def restore(self, words: Mapping[str, Word]) -> dict[str, Problem]:
        """Load what should serve, or else the best there is; returns why, for each model that does not serve that.

        `words` are the registry's, by model; without one the state on disk decides for good. See `restoring`.
        """
        return self._preparation.restore(self._slots, words)

    def settled(self, model: str) -> bool:
        """Whether a version of it serves that does not only stand in for another, or until the registry is back."""
        return self.slot(model).settled

    # Versions

    def prepare(
        self, model: str, origin: Origin, wanted: Callable[[], bool] = lambda: True, *, urgent: bool = False
    ) -> Prepared:
        """Load a version beside the active one; what serves does not change.

        One that is `urgent`, a way back, comes before whatever else loads. Nothing is kept for a caller whose answer is
        not `wanted` any more. Raises `BadArtifact`, `Overloaded` or `StorageUnavailable`.
        """
        prepare = self._preparation.prepare_way_back if urgent else self._preparation.prepare
        return prepare(self.slot(model), origin, wanted)

    def activate(self, model: str, version: str, order: Order = _ANYONE) -> Activated:
        """Serve a prepared version from the next request on. Raises what `Slot.changed` does, or `UnknownModel`."""
        return self._serve(model, version, order.to("activate", version))

    def update(self, model: str, origin: Origin, order: Order) -> Activated:
        """`prepare` and `activate` in one; what serves must not change in between. Raises what they do."""
        order = order.to("update to", origin.version, origin.manifest_sha256)
        if done := _made_before(self.snapshot(model), order):
            return done
        prepared = self.prepare(model, origin, order.wanted)
        return self._serve(model, origin.version, replace(order, expected_epoch=prepared.epoch))

    def rollback(self, model: str, version: str = "", order: Order = _ANYONE) -> Activated:
        """Serve the previous version again, which is warm, or any of the last ten that served here.

        One that has to be loaded first serves only if nothing else changed meanwhile, and its caller still waits.
        """
        slot, order = self.slot(model), order.to("roll back to", version)
        now = slot.snapshot
        if done := _made_before(now, order):
            return done
        target = now.rollback_target(version)
        if now.loaded(target.version) is None:
            now.demand_epoch(order.expected_epoch)
            order = replace(order, expected_epoch=now.epoch)
            self._preparation.prepare_way_back(slot, target, order.wanted)
        return self._activated(slot, order, lambda now: self._rolled_back(now, version, target.version, order))

    def discard(self, model: str, version: str, order: Order = _ANYONE) -> None:
        """Drop a prepared version. One that serves, is the previous one, is on trial or is unknown stays as it is."""
        slot = self.slot(model)
        order = order.to("discard", version)
        done = slot.changed(order, lambda now: now.without_prepared(version), self.changes.counted)
        if gone := done.before.gone(done.after):
            for generation in gone:
                self._disposal.free(generation)
            self.changes.announce()

    def expire(self, seconds: float) -> None:
        """Drop what was prepared so long ago and never used: its caller went, and it takes memory."""
        for model, slot in self._slots.items():
            for generation in slot.snapshot.prepared:
                if time.monotonic() - generation.loaded_at > seconds:
                    self.discard(model, generation.version)

    # Canary

    def set_canary(self, model: str, version: str, percent: float, *, shadow: bool, order: Order = _ANYONE) -> Snapshot:
        """Give a prepared version `percent` of the requests or, in `shadow`, of their copies. A repeat changes nothing.

        Raises `BadRequest`, `UnknownModel`, `StaleEpoch` or `DiskUnusable`.
        """
        slot = self.slot(model)
        done = slot.changed(
            order.to("set a canary of", version, percent, shadow),
            lambda now: now.on_trial(version, percent, shadow=shadow, limits=self._rules.canary),
            self.changes.counted,
        )
        canary = done.after.canary
        if canary is not None and canary is not done.before.canary:
            self.changes.tried(model, canary)
        return done.after

    def promote_canary(self, model: str, version: str, order: Order = _ANYONE) -> Activated:
        """Serve the candidate to everybody. Raises `UnknownModel` unless this very version is on trial or active."""
        return self._activated(
            self.slot(model),
            order.to("promote the canary", version),
            lambda now: now.promoted(version, order.expected_epoch, time.time()),
        )

    def abort_canary(self, model: str, version: str, reason: str, order: Order = _ANYONE) -> None:
        """Take a candidate out of the requests at once; nothing happens when it is not on trial."""
        slot, named = self.slot(model), order.to("abort the canary", version)
        done = slot.changed(named, lambda now: now.trial_aborted(version, reason), self.changes.counted)
        if done.answers_otherwise:
            # The words of a call are a person's: they are in the status, not in the log.
            self.changes.aborted(model, version, reason if order is _ANYONE else "a call asked for that")
            self._disposal.at_once(done.before.gone(done.after))

    # Inside

    def _serve(self, model: str, version: str, order: Order) -> Activated:
        return self._activated(
            self.slot(model), order, lambda now: now.activated(version, order.expected_epoch, time.time())
        )

    def _rolled_back(self, now: Snapshot, version: str, target: str, order: Order) -> Snapshot:
        """What served before is asked for again under the lock: two callers at once must not go two steps back."""
        again = now.rollback_target(version).version
        return now.activated(again if now.loaded(again) else target, order.expected_epoch, time.time())

    def _activated(self, slot: Slot, order: Order, decide: Callable[[Snapshot], Snapshot]) -> Activated:
        made = slot.changed(order, decide, self.changes.counted)
        after = made.after
        if made.answers_otherwise:
            self.changes.activated(made.before, after, made.seconds)
            self._disposal.soon(slot, made.before.gone(after))
        if after is made.before and (done := _made_before(after, order)):
            return done
        assert after.active is not None
        previous = after.previous.version if after.previous else None
        return Activated(after.active.version, previous, after.epoch, made.seconds * 1000)


def _made_before(now: Snapshot, order: Order) -> Activated | None:
    """What that very order led to when it was carried out. Raises `NameTaken`."""
    done = now.did(order)
    return Activated(done.version, done.previous or None, done.epoch, 0.0) if done else None
