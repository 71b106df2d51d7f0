"""What a replica serves when it comes back: its own memory, unless the fleet went on meanwhile (design D11)."""

import logging
from dataclasses import dataclass

from faceserve.errors import BadArtifact, ServingError
from faceserve.loading import Generation, Loader, Origin
from faceserve.slot import Snapshot
from faceserve.state import State, StateFile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restored:
    snapshot: Snapshot
    history: list[Origin]


def restored(model: str, file: StateFile, loader: Loader, champion: Origin | None) -> Restored | None:
    """None when nothing ever served. Raises `BadArtifact` or `StorageUnavailable` when what should serve cannot.

    `champion` is what the registry names; it wins over the state file when it was promoted later.
    """
    before = _remembered(model, file)
    if champion and (before is None or _is_news(champion, before)):
        history = [*(before.history if before else ()), champion]
        now = State(champion, before.active if before else None, before.epoch + 1 if before else 1, tuple(history))
    elif before:
        now = before
    else:
        return None
    active = loader.load(model, now.active).generation
    previous = _kept_warm(model, loader, now.previous)
    file.write(now)
    return Restored(Snapshot(active, previous, epoch=now.epoch), list(now.history))


def _remembered(model: str, file: StateFile) -> State | None:
    try:
        return file.read()
    except BadArtifact as error:
        log.error("%s: %s; it was set aside", model, error)  # noqa: TRY400 - the text says it all
        file.set_aside()
        return None


def _is_news(champion: Origin, state: State) -> bool:
    return champion.version != state.active.version and champion.activated_at > state.active.activated_at


def _kept_warm(model: str, loader: Loader, origin: Origin | None) -> Generation | None:
    """When it can be loaded; the active version serves all the same."""
    try:
        return loader.load(model, origin).generation if origin else None
    except ServingError as error:
        log.warning("%s %s is not kept warm: %s", model, origin.version if origin else "", error)
        return None
