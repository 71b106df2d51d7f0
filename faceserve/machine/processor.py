"""How long a process computed, and how long it waited for anything but the processor."""

import time
from contextlib import suppress
from pathlib import Path

import psutil

# A process that computes for less than this share of the time is one that waits.
_IDLE_SHARE = 0.1
_RUNNABLE = "R"


class Spent:
    """Seconds that a process is to blame for: those it computes, and those it neither computes nor wants to.

    Seconds in which it wants the processor and does not get it are not its own: on a busy machine, whatever runs at the
    lowest priority waits long for little.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._at = time.monotonic()
        self._computed = 0.0
        self.seconds = 0.0

    def look(self) -> float:
        """The seconds so far; to be called a few times a second."""
        at, computed = time.monotonic(), self._computed_seconds()
        passed, own = at - self._at, computed - self._computed
        wanted = own > _IDLE_SHARE * passed or self._wants()
        self.seconds += min(own, passed) if wanted else passed
        self._at, self._computed = at, computed
        return self.seconds

    def _computed_seconds(self) -> float:
        """By all its threads together."""
        try:
            times = psutil.Process(self._pid).cpu_times()
        except psutil.Error:
            return self._computed
        return float(times.user + times.system)

    def _wants(self) -> bool:
        """Whether any thread would run at this moment if it got the processor."""
        for thread in Path(f"/proc/{self._pid}/task").glob("*/stat"):
            # The name before the state is in brackets, and may have any in it.
            with suppress(OSError):
                if thread.read_text("utf-8", "replace").rpartition(")")[2].split()[0] == _RUNNABLE:
                    return True
        return False
