"""`stack.json`: ports and secrets of a stack. It is the only copy there is: what lies in the databases needs it."""

import json
import os
from pathlib import Path
from typing import Any

_NAME = "stack.json"


class StackFileError(RuntimeError):
    """The file cannot be used; one sentence that says what to do."""


def read(root: Path) -> dict[str, Any] | None:
    """What was kept, or None for a stack that is not made yet.

    Raises `StackFileError` where it is gone or damaged: other secrets than those of the data would open nothing.
    """
    path = root / _NAME
    bring_back = f"bring it back from your safe, or `make clean` deletes the data in {root} as well"
    try:
        kept: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        if (root / "postgres" / "data" / "PG_VERSION").exists():
            raise StackFileError(f"{path} is gone, with the passwords of the databases: {bring_back}") from None
        return None
    except ValueError as damaged:
        raise StackFileError(f"{path} is damaged ({damaged}): {bring_back}") from damaged
    return kept


def write(root: Path, kept: dict[str, Any]) -> None:
    """Whole or not at all, for its owner alone; so is the folder, in which copies of databases and logs lie."""
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o700)
    fresh = root / f"{_NAME}.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(kept, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(root / _NAME)
