"""`.bench/results.json`: what every benchmark found last, and when, where and on which commit."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from include.bench.measurement import Found
from include.stack.layout import REPOSITORY

RESULTS = REPOSITORY / ".bench" / "results.json"
_LIBRARIES = ("albumentations", "boto3", "keras", "openvino", "pika", "psycopg2-binary", "pyarrow", "tensorflow")


class UnreadableResults(Exception):
    """The file of results was not written by this program; the text says what to do."""


def keep(path: Path, name: str, found: Found, took_seconds: float, load: float | None = None) -> None:
    """Replace what the benchmark of that name found before; the results of all others stay.

    `load` is the machine's before it began: processes that ran or waited for a processor.
    """
    figures = {name: float(f"{value:.6g}") for name, value in found.figures.items()}
    entry = {"figures": figures, "how": found.how, "took_seconds": round(took_seconds, 1), **_circumstances()}
    if load is not None:
        entry["load_before"] = round(load, 1)
    written = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(json.dumps({**read(path), name: entry}, ensure_ascii=False, indent=1) + "\n")
    # A program that is interrupted leaves the old file or the new one, never half of it.
    written.replace(path)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Results by benchmark; none when there is no file yet."""
    try:
        kept = json.loads(path.read_text()) if path.exists() else {}
        # What an earlier version of this program wrote has another shape.
        return {name: entry for name, entry in kept.items() if "measured_at" in entry}
    except (ValueError, AttributeError, TypeError) as error:
        raise UnreadableResults(f"{path} is no file of results ({error}): move it away") from error


def _circumstances() -> dict[str, Any]:
    """When and where this is measured."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _LIBRARIES},
    }


def _commit() -> str:
    """As git names it, `-dirty` when files were changed; empty outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
