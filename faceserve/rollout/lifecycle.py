"""ModelLifecycleManager: replaces the model that serves while requests go on (specification §3.1, messages 35-39)."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faceserve.models.generation import Origin
from faceserve.models.loading import Loader
from faceserve.rollout.changes import Changes
from faceserve.rollout.disposal import Disposal
from faceserve.rollout.preparation import Preparation, Prepared
from faceserve.rollout.rules import Rules
from faceserve.rollout.slot import Slot, Slots
from faceserve.rollout.snapshot import ANY_EPOCH, Canary, Lease, Snapshot


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
        self._disposal = Disposal(self._slots, loader, rules.keeping)
        self._preparation = Preparation(loader, changes, self._disposal)
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

    def restore(self, champions: Mapping[str, Origin]) -> dict[str, Exception]:
        """Load what served, for every model that serves nothing; returns the reason for each that could not be loaded.

        `champions` is what the registry names; see `restoring`.
        """
        found = {model: self._preparation.restore(slot, champions.get(model)) for model, slot in self._slots.items()}
        return {model: problem for model, problem in found.items() if problem}

    # Versions

    def prepare(self, model: str, origin: Origin, wanted: Callable[[], bool] = lambda: True) -> Prepared:
        """Load a version beside the active one; what serves does not change.

        Nothing is kept for a caller whose answer is not `wanted` any more. Raises `BadArtifact`, `Overloaded` or
        `StorageUnavailable`.
        """
        return self._preparation.prepare(self.slot(model), origin, wanted)

    def activate(self, model: str, version: str, expected_epoch: int = ANY_EPOCH) -> Activated:
        """Serve a prepared version from the next request on. Raises `StaleEpoch`, `UnknownModel`."""
        slot = self.slot(model)
        return self._activated(slot, lambda now: now.activated(version, expected_epoch, time.time()))

    def rollback(self, model: str, version: str = "", expected_epoch: int = ANY_EPOCH) -> Activated:
        """Serve the previous version again, which is warm, or any of the last ten that served here."""
        slot = self.slot(model)
        now = slot.snapshot
        target = now.rollback_target(version)
        if now.loaded(target.version) is None:
            now.demand_epoch(expected_epoch)
            self._preparation.prepare_again(slot, target)
        return self.activate(model, target.version, expected_epoch)

    def discard(self, model: str, version: str) -> None:
        """Drop a prepared version. One that serves, is the previous one, is on trial or is unknown stays as it is."""
        slot = self.slot(model)
        with slot.change:
            before, after = slot.snapshot, slot.snapshot.without_prepared(version)
            slot.exchange(after)
        if after is not before:
            for generation in before.gone(after):
                self._disposal.free(generation)
            self.changes.announce()

    # Canary

    def set_canary(self, model: str, version: str, percent: float, *, shadow: bool) -> Canary:
        """Give a prepared version `percent` of the requests or, in `shadow`, of their copies. A repeat changes nothing.

        Raises `BadRequest` or `UnknownModel`.
        """
        slot = self.slot(model)
        with slot.change:
            before = slot.snapshot
            after = before.on_trial(version, percent, shadow=shadow, limits=self._rules.canary)
            assert after.canary is not None
            if after is not before:
                slot.exchange(after)
                self.changes.tried(model, after.canary)
            return after.canary

    def promote_canary(self, model: str, version: str, expected_epoch: int = ANY_EPOCH) -> Activated:
        """Serve the candidate to everybody. Raises `UnknownModel` unless this very version is on trial or active."""
        slot = self.slot(model)
        return self._activated(slot, lambda now: now.promoted(version, expected_epoch, time.time()))

    def abort_canary(self, model: str, version: str, reason: str) -> None:
        """Take a candidate out of the requests at once; nothing happens when it is not on trial."""
        slot = self.slot(model)
        with slot.change:
            before = slot.snapshot
            after = before.trial_aborted(version, reason)
            if after is before:
                return
            slot.exchange(after)
            self.changes.aborted(model, version, reason)
        self._disposal.at_once(before.gone(after))

    # Inside

    def _activated(self, slot: Slot, decide: Callable[[Snapshot], Snapshot]) -> Activated:
        with slot.change:
            before = slot.snapshot
            after = decide(before)
            seconds = 0.0
            if after is not before:
                seconds = slot.exchange(after)
                self.changes.activated(before, after, seconds)
                self._disposal.soon(slot, before.gone(after))
        assert after.active is not None
        previous = after.previous.version if after.previous else None
        return Activated(after.active.version, previous, after.epoch, seconds * 1000)
