"""What a replica serves when it comes back: what it should, or else the best that is at hand (design D11)."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from faceserve.errors import DiskUnusable, may_pass
from faceserve.models.generation import Generation, Origin
from faceserve.models.loading import Loader
from faceserve.rollout.history import History
from faceserve.rollout.slot import Slot
from faceserve.rollout.snapshot import Snapshot
from faceserve.rollout.state import State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """Why the version that should serve does not, and whether that `may_pass`, for any version that was tried."""

    error: Exception
    may_pass: bool

    def __str__(self) -> str:
        return str(self.error) or type(self.error).__name__


@dataclass(frozen=True)
class Restored:
    """What served before and after, and why what should serve does not, if it does not.

    `way_back` is what should be kept warm beside it, when there is time for that.
    """

    before: Snapshot
    after: Snapshot
    problem: Problem | None = None
    way_back: Origin | None = None

    @property
    def changed(self) -> bool:
        return self.after.active is not self.before.active


@dataclass(frozen=True)
class Word:
    """The registry's: its `champion`, if it named one; `given` is false as long as it could not be asked."""

    champion: Origin | None = None
    given: bool = True


def restored(slot: Slot, loader: Loader, word: Word) -> Restored:
    """The first version that can be loaded of: the registry's champion, what served last, what served before that.

    Nothing happens if another version was activated meanwhile, or if what serves is what should. Until the registry has
    given its word whatever serves only stands in.
    """
    with slot.loading.taken():
        before = slot.snapshot
        problem: Problem | None = None
        if slot.settled:
            return Restored(before, before)
        for rung, due in enumerate(_ladder(slot.kept, word.champion, time.time())):
            stands_in = rung > 0 or not word.given
            if before.active and before.active.version == due.active.version:
                slot.makeshift_epoch = before.epoch if stands_in else None
                break
            try:
                after = _climb(slot, loader, due, before, makeshift=rung > 0)
                slot.makeshift_epoch = after.epoch if stands_in else None
                way_back = due.previous if before.active is None and after is not before else None
                return Restored(before, after, problem, way_back)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one version, the next may be sound
                version = due.active.version
                log.error("%s %s cannot serve: %s", slot.model, version, error, extra={"version": version})  # noqa: TRY400
                problem = Problem(error, may_pass(error)) if problem is None else _also(problem, error)
        return Restored(before, before, problem)


def what_is_due(state: State | None, champion: Origin | None, now: float) -> State | None:
    """The registry's champion if it was promoted after `state` was activated, else `state`.

    What was activated after `now` was so by a clock that was wrong: then the registry's word counts.
    """
    if champion is None or state is None:
        return state if champion is None else State(champion, None, 1, (champion,))
    if champion.version == state.active.version or champion.activated_at <= state.active.activated_at <= now:
        return state
    history = History(state.history).and_now(champion)
    return replace(state, active=champion, previous=state.active, epoch=state.epoch + 1, history=history.entries)


def _ladder(state: State | None, champion: Origin | None, now: float) -> Iterator[State]:
    due = what_is_due(state, champion, now)
    if due is None:
        return
    yield due
    if state is None:
        return
    if due is not state:
        yield state
    if state.previous and state.previous.version != due.active.version:
        yield replace(state, active=state.previous, previous=None, epoch=state.epoch + 1)


def _also(first: Problem, error: Exception) -> Problem:
    return replace(first, may_pass=first.may_pass or may_pass(error))


def _climb(slot: Slot, loader: Loader, due: State, before: Snapshot, *, makeshift: bool) -> Snapshot:
    """What serves now; as before if something else changed meanwhile. Raises what `Loader.load` does."""
    active = loader.load(slot.model, due.active).generation
    with slot.change:
        now = slot.snapshot
        if now.active is before.active and now.epoch == before.epoch:
            _exchange(slot, now.restored(active, due, makeshift=makeshift), due)
            return slot.snapshot
    active.close_when_idle(0)
    return before


def _exchange(slot: Slot, after: Snapshot, due: State) -> None:
    """Serve it. A start does not rewrite what is on disk already, and a full disk does not keep a sound version from
    serving.
    """
    if due == slot.kept and after.epoch == due.epoch:
        slot.snapshot = after
    else:
        _kept_if_possible(slot, after)


def _kept_if_possible(slot: Slot, after: Snapshot) -> None:
    try:
        slot.exchange(after)
    except DiskUnusable as error:
        log.error("%s serves, but after a restart it may not: %s", slot.model, error)  # noqa: TRY400
        slot.snapshot = after


def keep_warm(slot: Slot, loader: Loader, restored: Restored) -> None:
    """Load the way back as well, unless something else changed meanwhile. Whatever comes of it, what serves goes on
    serving.
    """
    origin, serves = restored.way_back, restored.after.active
    with slot.loading.taken():
        if origin is None or not _lacks(slot.snapshot, serves, origin):
            return
        try:
            generation = loader.load(slot.model, origin).generation
        except Exception as error:  # noqa: BLE001 - to go back is a wish, to serve is not
            log.warning("%s %s is not kept warm: %s", slot.model, origin.version, str(error) or type(error).__name__)
            return
        with slot.change:
            if _lacks(slot.snapshot, serves, origin):
                _kept_if_possible(slot, slot.snapshot.with_previous(generation))
                return
        generation.close_when_idle(0)


def _lacks(now: Snapshot, serves: Generation | None, origin: Origin) -> bool:
    """Whether the same version serves, still without a way back."""
    return now.active is serves and now.previous is None and now.loaded(origin.version) is None
