"""Python environments for programs whose requirements contradict ours; each is made once, under `.bench/`."""

import shutil
import subprocess
import sys
from pathlib import Path

from include.stack.layout import REPOSITORY

_MADE = ".made"


def environment(name: str, *packages: str) -> Path:
    """Path of the interpreter that has these packages; `name` must change when they or their versions do."""
    home = REPOSITORY / ".bench" / name
    python = home / "bin" / "python"
    if not (home / _MADE).exists():
        tool = uv()
        subprocess.run([tool, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
        subprocess.run([tool, "pip", "install", "--quiet", "--python", python, *packages], check=True)
        (home / _MADE).touch()
    return python


def uv() -> str:
    """Where `make install` found or put it."""
    return shutil.which("uv") or str(REPOSITORY / ".stack" / "tools" / "bin" / "uv")
