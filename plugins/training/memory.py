"""Whether the kernel killed a process for its memory."""

from pathlib import Path

_COUNTERS = Path("/proc/vmstat")
_SIGKILL_EXIT_CODES = (-9, 137)


def oom_kills(counters: Path = _COUNTERS) -> int | None:
    """How many processes this kernel has killed for memory since it started; None where it does not tell."""
    lines = counters.read_text().splitlines() if counters.exists() else []
    found = [int(line.split()[1]) for line in lines if line.startswith("oom_kill ")]
    return found[0] if found else None


def memory_is_to_blame(exit_code: int, before: int | None, after: int | None) -> bool:
    """A process that was killed outright was killed for its memory, unless the kernel says it killed none meanwhile."""
    return exit_code in _SIGKILL_EXIT_CODES and (before is None or after is None or after > before)
