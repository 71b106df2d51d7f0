"""`python -m tests`: every part of the tests, two at a time; each line says which part wrote it."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import click

from include.stack.layout import REPOSITORY
from tests import lifeline

_PYTEST = (sys.executable, "-m", "pytest", "-q")


def _at_once(workers: int) -> tuple[str, ...]:
    """Files in their own order: by number of tests, those of a file with one long test would begin last."""
    return f"-n{workers}", "--dist=loadfile", "--no-loadscope-reorder"


@dataclass(frozen=True)
class Part:
    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    part: Part
    failed: bool
    output: str
    seconds: float

    @property
    def closing_line(self) -> str:
        """pytest's, or the last one there is."""
        lines = self.output.rstrip().splitlines() or [""]
        return next((line for line in reversed(lines) if re.search(r"\d (passed|failed|error)", line)), lines[-1])


_QUICK = ("-m", "not slow")
_ELSEWHERE = tuple(f"--ignore=tests/{part}" for part in ("unit", "e2e", "browser"))
# What takes longest begins first. Each waits for other processes much of its time: the end-to-end run for Airflow, the
# tests for services to answer.
PARTS = (
    # Two of them leave two cores idle for half of the time: measured, 976 s of which 940 s are some processor's.
    Part("services", (*_PYTEST, *_at_once(3), *_QUICK, "tests", *_ELSEWHERE)),
    Part("e2e", (*_PYTEST, *_QUICK, "tests/e2e")),
    # Alone in its process: Playwright holds the event loop, which tests of coroutines need.
    Part("browser", (*_PYTEST, "tests/browser")),
    Part("unit", (*_PYTEST, *_at_once(2), *_QUICK, "tests/unit")),
    Part("check", ("make", "--no-print-directory", "check")),
)


def run(parts: Sequence[Part] = PARTS) -> int:
    """Run all parts, even after one failed; 1 when any did, with its output once more at the end."""
    # Whoever is done takes the next one, so that both end at nearly the same time.
    with ThreadPoolExecutor(2) as two:
        outcomes = list(two.map(_run, parts))
    failed = [outcome for outcome in outcomes if outcome.failed]
    for outcome in failed:
        print(f"\n---- {outcome.part.name} failed ----\n{outcome.output}")
    print()
    for outcome in outcomes:
        word = "FAILED" if outcome.failed else "ok"
        print(f"{outcome.part.name:<10}{word:<8}{outcome.seconds:4.0f} s  {outcome.closing_line}")
    return 1 if failed else 0


def _run(part: Part) -> Outcome:
    begun = time.monotonic()
    print(f"{part.name:<10}begins", flush=True)
    lines = []
    with subprocess.Popen(
        part.command,
        cwd=REPOSITORY,
        # Progress is read while it is made.
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            print(f"{part.name:<10}{line}", end="", flush=True)
    return Outcome(part, process.returncode != 0, "".join(lines), time.monotonic() - begun)


def _end_with_parent() -> None:
    """A killed `make` must not leave its recipe running."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    _end_with_parent()
    lifeline.hold()
    sys.exit(run())


if __name__ == "__main__":
    main()
