"""What a replica serves when it comes back: what it served, unless the fleet went on meanwhile (design D11)."""

import logging

from faceserve.errors import BadArtifact, ServingError
from faceserve.models.generation import Generation, Origin
from faceserve.models.loading import Loader
from faceserve.rollout.history import History
from faceserve.rollout.slot import Slot
from faceserve.rollout.state import State

log = logging.getLogger(__name__)


def restored(slot: Slot, loader: Loader, champion: Origin | None) -> bool:
    """Whether something serves now that did not before.

    `champion` is what the registry names. A version that is activated during this stays. Raises `BadArtifact` or
    `StorageUnavailable` if what should serve cannot be loaded. Then nothing serves: any other version was replaced,
    maybe because it was bad.
    """
    with slot.loading:
        if slot.snapshot.active:
            return False
        state = _remembered(slot)
        due = what_is_due(state, champion)
        if due is None:
            return False
        active = loader.load(slot.model, due.active).generation
        previous = _kept_warm(slot.model, loader, due.previous)
        return _serves(slot, active, previous, due)


def what_is_due(state: State | None, champion: Origin | None) -> State | None:
    """The registry's champion if it was promoted after `state` was activated, else `state`."""
    if champion is None or state is None:
        return state if champion is None else State(champion, None, 1, (champion,))
    if champion.version == state.active.version or champion.activated_at <= state.active.activated_at:
        return state
    history = History(state.history).and_now(champion)
    return State(champion, state.active, state.epoch + 1, history.entries)


def _remembered(slot: Slot) -> State | None:
    """Epochs and history go on from there, even if another version will serve."""
    try:
        state = slot.file.read()
    except BadArtifact as error:
        log.error("%s: %s; it was set aside", slot.model, error)  # noqa: TRY400 - the text says it all
        slot.file.set_aside()
        return None
    if state:
        with slot.change:
            slot.snapshot = slot.snapshot.remembering(state)
    return state


def _kept_warm(model: str, loader: Loader, origin: Origin | None) -> Generation | None:
    """None if it cannot be loaded; the active version serves all the same."""
    if origin is None:
        return None
    try:
        return loader.load(model, origin).generation
    except ServingError as error:
        log.warning("%s %s is not kept warm: %s", model, origin.version, error)
        return None


def _serves(slot: Slot, active: Generation, previous: Generation | None, due: State) -> bool:
    with slot.change:
        if slot.snapshot.active is None:
            slot.exchange(slot.snapshot.restored(active, previous, due))
            return True
    for generation in (active, previous):
        if generation:
            generation.close_when_idle(0)
    return False
