"""What served, kept on disk, so that a replica comes back with it after a restart (design D11)."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceserve.errors import BadArtifact
from faceserve.models.generation import Origin

FORMAT = 2


@dataclass(frozen=True)
class State:
    active: Origin
    previous: Origin | None
    epoch: int
    history: tuple[Origin, ...] = ()


class StateFile:
    """One file for each model, replaced atomically."""

    def __init__(self, folder: Path, model: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{model}.json"

    def read(self) -> State | None:
        """None when nothing ever served. Raises `BadArtifact` for a file that cannot be trusted."""
        if not self._path.exists():
            return None
        try:
            fields: dict[str, Any] = json.loads(self._path.read_text())
            if fields.get("format") != FORMAT:
                raise BadArtifact(f"{self._path.name} has format {fields.get('format')}, this program reads {FORMAT}")
            previous = Origin(**fields["previous"]) if fields["previous"] else None
            active = Origin(**fields["active"])
            history = tuple(Origin(**origin) for origin in fields["history"])
            return State(active, previous, int(fields["epoch"]), history)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadArtifact(f"{self._path.name} is damaged: {type(error).__name__} {error}") from None

    def write(self, state: State) -> None:
        fields = {
            "format": FORMAT,
            "epoch": state.epoch,
            "active": vars(state.active),
            "previous": vars(state.previous) if state.previous else None,
            "history": [vars(origin) for origin in state.history],
        }
        partial = self._path.with_suffix(".partial")
        with partial.open("w") as file:
            json.dump(fields, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)

    def set_aside(self) -> None:
        """Rename a file that cannot be used: it stays for a look, and the next start does not meet it."""
        self._path.replace(self._path.with_suffix(".refused.json"))
