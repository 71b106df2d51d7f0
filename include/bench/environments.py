"""Python environments of other people's programs, whose requirements exclude ours; made once under `.bench/`."""

import shutil
import subprocess
import sys
from pathlib import Path

from include.stack.layout import REPOSITORY

_MADE = ".made"


def environment(name: str, *packages: str) -> Path:
    """The interpreter of an environment with these packages; `name` says which and in which version."""
    home = REPOSITORY / ".bench" / name
    python = home / "bin" / "python"
    if not (home / _MADE).exists():
        uv = _uv()
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
        (home / _MADE).touch()
    return python


def _uv() -> str:
    """Where `make install` found or put it."""
    return shutil.which("uv") or str(REPOSITORY / ".stack" / "tools" / "bin" / "uv")
