"""What a test run starts ends with the run, however that ends: finished, interrupted or killed.

Every process of a run carries the run's mark in its environment, daemons too, which no process group would hold. A
watcher outside the run waits for the end of a pipe, which the kernel closes even after SIGKILL, and then ends whatever
still carries the mark. A run within a run (a worker, a part) adds a mark of its own to those around it.
"""

import os
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psutil

MARKS = "TEST_RUNS"
_SWEEP_SECONDS = 30
_POLL_SECONDS = 0.2
_watchers: list["subprocess.Popen[bytes]"] = []


def hold() -> None:
    """Mark this process's environment, and with it all that it starts from now on; start the watcher."""
    mark = uuid.uuid4().hex
    watcher = subprocess.Popen(
        [sys.executable, "-m", "tests.lifeline", mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],
        env={name: value for name, value in os.environ.items() if name != MARKS},
        # Neither a Ctrl-C at the terminal nor a signal to the run's group may reach it.
        start_new_session=True,
    )
    # Its standard input stays open for as long as this process lives.
    _watchers.append(watcher)
    os.environ[MARKS] = f"{os.environ.get(MARKS, '')} {mark}".strip()


def _marks_of(process: psutil.Process) -> list[str]:
    try:
        return process.environ().get(MARKS, "").split()
    except (psutil.Error, OSError):
        # Ended meanwhile, or somebody else's.
        return []


def _end_all(mark: str) -> None:
    """Until none is left: a supervisor may start another one before it is ended itself."""
    deadline = time.monotonic() + _SWEEP_SECONDS
    while (left := [p for p in psutil.process_iter() if mark in _marks_of(p)]) and time.monotonic() < deadline:
        print(f"left behind by the tests, ended: {', '.join(sorted({_name(p) for p in left}))}", file=sys.stderr)
        for process in left:
            # One that ends with another's end must not spare the rest.
            with suppress(psutil.NoSuchProcess):
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
