"""What served, kept on disk, so that a replica comes back with it after a restart (design D11)."""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from faceserve.errors import BadArtifact, DiskUnusable
from faceserve.machine.disk import sync
from faceserve.models.generation import Origin
from faceserve.rollout.ending import Concluded
from faceserve.rollout.orders import Done

log = logging.getLogger(__name__)

FORMAT = 2
_LOST_EPOCHS = 2
# Far more changes than there can be, and far below what a message or a float can carry.
_MOST_EPOCHS = 1 << 53


@dataclass(frozen=True)
class State:
    active: Origin
    previous: Origin | None
    epoch: int
    history: tuple[Origin, ...] = ()
    done: tuple[Done, ...] = ()
    concluded: Concluded | None = None


class StateFile:
    """One file for each model, replaced atomically; the one before it stays beside it."""

    def __init__(self, folder: Path, model: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{model}.json"
        self._before = folder / f"{model}.before.json"

    def read(self) -> State | None:
        """None when nothing ever served. Raises `BadArtifact` for a file that cannot be trusted."""
        return self._read(self._path)

    def recovered(self) -> State | None:
        """The same, but a file that cannot be trusted is set aside, and the one before it is read."""
        try:
            return self.read()
        except BadArtifact as error:
            log.error("%s; it was set aside", error)  # noqa: TRY400 - the text says it all
            self.set_aside()
        try:
            before = self._read(self._before)
        except BadArtifact as error:
            log.error("%s", error)  # noqa: TRY400 - the text says it all
            return None
        # The lost file may have noted the beginning of a trial, whose end is counted beforehand.
        return replace(before, epoch=before.epoch + _LOST_EPOCHS) if before else None

    def _read(self, path: Path) -> State | None:
        """Raises `BadArtifact`."""
        try:
            fields: dict[str, Any] = json.loads(path.read_text())
            if fields.get("format") != FORMAT:
                raise BadArtifact(f"{path.name} has format {fields.get('format')}, this program reads {FORMAT}")
            # Earlier programs wrote no hash.
            if fields.pop("sha256", None) not in {None, _sha256(fields)}:
                raise BadArtifact(f"{path.name} is damaged: it does not have the sha256 that was written with it")
            previous = Origin(**fields["previous"]) if fields["previous"] else None
            active = Origin(**fields["active"])
            history = tuple(Origin(**origin) for origin in fields["history"])
            done = _done(fields.get("done", ()), fields.get("asked", ()))
            concluded = Concluded(**fields["concluded"]) if fields.get("concluded") else None
            return State(active, previous, _epoch(fields["epoch"]), history, done, concluded)
        except FileNotFoundError:
            return None
        except BadArtifact:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the bytes, a server starts without them
            raise BadArtifact(f"{path.name} is damaged: {type(error).__name__} {error}") from None

    def write(self, state: State) -> None:
        """Raises `DiskUnusable`; then what was kept before is kept still."""
        try:
            self._write(state)
        except OSError as error:
            raise DiskUnusable(f"what serves cannot be kept on disk: {error}") from error

    def _write(self, state: State) -> None:
        fields = {
            "format": FORMAT,
            "epoch": state.epoch,
            "active": vars(state.active),
            "previous": vars(state.previous) if state.previous else None,
            "history": [vars(origin) for origin in state.history],
            # Two lists: an earlier release reads names with four fields, and fails on a fifth.
            "done": [[one.request, one.version, one.previous, one.epoch] for one in state.done],
            "asked": [one.asked for one in state.done],
            "concluded": vars(state.concluded) if state.concluded else None,
        }
        partial = self._path.with_suffix(".partial")
        with partial.open("w") as file:
            json.dump({**fields, "sha256": _sha256(fields)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        if self._path.exists():
            link = self._path.with_suffix(".link")
            link.unlink(missing_ok=True)
            # Not every file system has links; then there is no older one to fall back on.
            with suppress(OSError):
                link.hardlink_to(self._path)
                link.replace(self._before)
        partial.replace(self._path)
        sync(self._path.parent)

    def set_aside(self) -> None:
        """Rename a file that cannot be used: it stays for a look, and the next start does not meet it."""
        with suppress(OSError):
            self._path.replace(self._path.with_suffix(".refused.json"))


def _done(noted: Sequence[Sequence[Any]], asked: Sequence[str]) -> tuple[Done, ...]:
    """Raises `TypeError` or `ValueError`."""
    both = zip(noted, asked or [""] * len(noted), strict=True)
    return tuple(Done(request, version, previous, epoch, what) for (request, version, previous, epoch), what in both)


def _epoch(found: object) -> int:
    """Raises `ValueError`."""
    if not isinstance(found, int) or not 0 <= found <= _MOST_EPOCHS:
        raise ValueError(f"{str(found)[:40]} is no epoch")
    return found


def _sha256(fields: dict[str, Any]) -> str:
    """The hash of the content, however it is formatted."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
