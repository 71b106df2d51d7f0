"""Which code is running: its commit, if known, and a hash of the sources, which also shows local changes."""

import hashlib
import subprocess
from functools import cache
from pathlib import Path

_REPOSITORY = Path(__file__).parents[2]
# What decides how a model is trained, exported and judged.
_SOURCES = ("pipeline", "include/contract")


@cache
def code_version() -> str:
    """First twelve digits of the sha256 of every Python source; the same files give the same version."""
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((_REPOSITORY / folder).rglob("*.py")):
            digest.update(str(path.relative_to(_REPOSITORY)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@cache
def git_commit() -> str:
    """The commit of the checkout, or `unknown`: an image has no checkout but its commit in `RETRAIN_GIT_COMMIT`."""
    try:
        found = subprocess.run(
            ["git", "-C", str(_REPOSITORY), "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()
