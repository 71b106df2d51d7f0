"""What a test run starts ends with the run, however that ends: finished, interrupted or killed.

Every process of a run carries the run's mark in its environment, daemons too, which no process group would hold. A
watcher outside the run waits for the end of a pipe, which the kernel closes even after SIGKILL, and then ends whatever
still carries the mark.
"""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil

MARK = "TEST_RUN"
_SWEEP_SECONDS = 30
_POLL_SECONDS = 0.2
_watchers: list["subprocess.Popen[bytes]"] = []


def hold() -> None:
    """Mark this process's environment and start the watcher; inside a run that is marked already nothing happens."""
    if os.environ.get(MARK):
        return
    mark = uuid.uuid4().hex
    watcher = subprocess.Popen(
        [sys.executable, "-m", "tests.lifeline", mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],
        # Neither a Ctrl-C at the terminal nor a signal to the run's group may reach it.
        start_new_session=True,
    )
    # Its standard input stays open for as long as this process lives.
    _watchers.append(watcher)
    os.environ[MARK] = mark


def marked(mark: str) -> list[psutil.Process]:
    """The processes that carry `mark` now."""
    return [process for process in psutil.process_iter() if _mark_of(process) == mark]


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        # Ended meanwhile, or somebody else's.
        return None


def _end_all(mark: str) -> None:
    """Until none is left: a supervisor may start another one before it is ended itself."""
    deadline = time.monotonic() + _SWEEP_SECONDS
    while (left := marked(mark)) and time.monotonic() < deadline:
        print(f"left behind by the tests, ended: {', '.join(sorted({_name(p) for p in left}))}", file=sys.stderr)
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=_POLL_SECONDS)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "?"


if __name__ == "__main__":
    sys.stdin.buffer.read()
    _end_all(sys.argv[1])
