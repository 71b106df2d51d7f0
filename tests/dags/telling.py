"""What a process of its own found out, kept apart from what it prints: Airflow's threads print whenever they like."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.stack.layout import REPOSITORY

_PLACE = "TOLD_IN"


def tell(found: Any) -> None:
    """Called by the process, once, with what JSON can say; anything else is told as its text."""
    Path(os.environ[_PLACE]).write_text(json.dumps(found, default=str))


def found_by(*arguments: str, variables: Mapping[str, str]) -> tuple[Any, str]:
    """What Python, begun with `arguments`, told, and all that it printed.

    Raises AssertionError with the end of its errors when it told nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "told.json")
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **variables, _PLACE: str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert place.exists(), done.stderr[-2000:]
        return json.loads(place.read_text()), done.stdout + done.stderr
