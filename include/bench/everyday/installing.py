"""How long the Python packages take to install, when they were downloaded before."""

import subprocess
import sys
import tempfile
from pathlib import Path

from include.bench.environments import uv
from include.bench.measurement import Found, Say, seconds
from include.stack.layout import REPOSITORY


def installing(say: Say) -> Found:
    """As `make install` does it, into an environment of its own; whatever is missing in uv's cache is an error."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=REPOSITORY / ".stack") as name:
        python = Path(name) / "bin" / "python"
        subprocess.run([uv(), "venv", "--quiet", "--clear", "--python", sys.executable, name], check=True)
        command = [uv(), "pip", "sync", "--quiet", "--offline", "--require-hashes", "--compile-bytecode"]
        took = seconds(lambda: subprocess.run([*command, "--python", python, "requirements.txt"], check=True))
    return Found({"install_seconds_warm_cache": took}, "`uv pip sync` from its cache, compiling included")
