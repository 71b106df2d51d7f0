"""Loads versions, one at a time, so that requests are disturbed least."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from faceserve.errors import BadArtifact, TooLate
from faceserve.models.generation import Origin
from faceserve.models.loading import GoOn, Loaded, Loader
from faceserve.rollout.changes import Changes
from faceserve.rollout.disposal import Disposal
from faceserve.rollout.restoring import Problem, Restored, Word, keep_warm, restored
from faceserve.rollout.rules import Keeping
from faceserve.rollout.slot import Slot, Slots
from faceserve.rollout.turns import Wanted, demand_wanted


@dataclass(frozen=True)
class Prepared:
    """`epoch` is that of what serves now; both durations are 0 when the version was loaded already."""

    version: str
    epoch: int
    load_seconds: float = 0.0
    warm_up_seconds: float = 0.0


@dataclass(frozen=True)
class Preparation:
    loader: Loader
    changes: Changes
    disposal: Disposal

    @classmethod
    def of(cls, slots: Slots, loader: Loader, changes: Changes, keeping: Keeping) -> Self:
        return cls(loader, changes, Disposal.of(slots, loader, keeping))

    def prepare(self, slot: Slot, origin: Origin, wanted: Wanted) -> Prepared:
        """Waits while another version is being loaded, unless this one is in memory already.

        Raises what `Loader.load` raises, `Overloaded`, also when a way back is asked for meanwhile, or `TooLate` when
        the answer is not `wanted` any more.
        """
        if slot.snapshot.has(origin):
            return Prepared(origin.version, slot.snapshot.epoch)
        with slot.turn(wanted):
            return self._prepared(slot, origin, wanted, lambda: slot.loading.demand_reason(origin.version, wanted))

    def prepare_way_back(self, slot: Slot, origin: Origin, wanted: Wanted) -> Prepared:
        """Prepare a way back. It is never refused because something else loads, and waits only for a load that can no
        longer be stopped.
        """
        if slot.snapshot.has(origin):
            return Prepared(origin.version, slot.snapshot.epoch)
        with slot.loading.taken(urgent=True, wanted=wanted):
            return self._prepared(slot, origin, wanted, lambda: demand_wanted(origin.version, wanted))

    def restore(self, slots: Slots, words: Mapping[str, Word]) -> dict[str, Problem]:
        """Load what served before a restart, and then what a rollback needs; returns what could not be, by model."""
        found = {model: self._restored(slot, words.get(model, Word())) for model, slot in slots.items()}
        for model, one in found.items():
            self._keep_warm(slots[model], one)
        return {model: one.problem for model, one in found.items() if one.problem}

    def _restored(self, slot: Slot, word: Word) -> Restored:
        with self.disposal.files.loading(*([word.champion] if word.champion else []), *slot.fallbacks):
            found = restored(slot, self.loader, word)
        if found.changed:
            self.changes.restored(found.before, found.after)
        return found

    def _keep_warm(self, slot: Slot, found: Restored) -> None:
        if found.way_back:
            with self.disposal.files.loading(found.way_back):
                keep_warm(slot, self.loader, found)
            self.changes.announce()
        if found.changed:
            self.disposal.soon(slot, found.before.gone(found.after))

    def _prepared(self, slot: Slot, origin: Origin, wanted: Wanted, go_on: GoOn) -> Prepared:
        if slot.snapshot.has(origin):
            return Prepared(origin.version, slot.snapshot.epoch)
        go_on()
        with self.disposal.files.loading(origin):
            loaded = self._loaded(slot, origin, go_on)
            if not wanted():
                self.disposal.free(loaded.generation)
                raise TooLate(f"nobody waits for {origin.version} any more, so it was freed again")
            with slot.change:
                slot.exchange(slot.snapshot.with_prepared(loaded.generation))
        self.changes.prepared(slot.model, loaded.load_seconds, loaded.warm_up_seconds)
        # Loading took processor time: requests that queued up meanwhile come before whatever the caller does next.
        time.sleep(self.disposal.keeping.calm_seconds)
        return Prepared(origin.version, slot.snapshot.epoch, loaded.load_seconds, loaded.warm_up_seconds)

    def _loaded(self, slot: Slot, origin: Origin, go_on: GoOn) -> Loaded:
        try:
            loaded = self.loader.load(slot.model, origin, go_on)
            self._demand_pace(slot, loaded)
        except BadArtifact:
            self.changes.refused(slot.model)
            raise
        return loaded

    def _demand_pace(self, slot: Slot, loaded: Loaded) -> None:
        try:
            slot.snapshot.demand_pace(loaded.generation)
        except BadArtifact:
            self.disposal.free(loaded.generation)
            raise
