"""A candidate is tried out in a process of its own: what crashes or hangs there harms nobody (ADR 0010)."""

import subprocess
import sys
from pathlib import Path

from faceserve.engines.base import factory
from faceserve.errors import BadArtifact
from faceserve.loading import check, load_engine
from include.contract.manifest import MANIFEST, ArtifactManifest

REFUSED = 65
_THREADS = 1


def vet(folder: Path, engine_name: str) -> None:
    """Load the verified artifact in `folder`, warm it up, compare its golden predictions. Raises `BadArtifact`."""
    manifest = ArtifactManifest.from_json((folder / MANIFEST).read_bytes())
    engine = load_engine(folder, manifest, engine_name, factory(engine_name, _THREADS))
    check(engine, manifest, folder)


class ChildVetting:
    """Runs `python -m faceserve vet` at the lowest priority and waits at most `seconds` for its word."""

    def __init__(self, engine_name: str, seconds: float) -> None:
        self._engine_name = engine_name
        self._seconds = seconds

    def __call__(self, folder: Path) -> None:
        command = ["nice", "-n", "19", sys.executable, "-m", "faceserve", "vet", str(folder)]
        try:
            done = subprocess.run(
                [*command, "--engine", self._engine_name],
                capture_output=True,
                text=True,
                timeout=self._seconds,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise BadArtifact(f"the model did not load and answer within {self._seconds:g} s") from None
        if done.returncode == REFUSED:
            raise BadArtifact(done.stdout.strip())
        if done.returncode < 0:
            raise BadArtifact(f"the model crashes its process (signal {-done.returncode})")
        if done.returncode != 0:
            end = " ".join(done.stderr.split())[-300:]
            raise BadArtifact(f"the model could not be tried out (exit status {done.returncode}): {end}")
