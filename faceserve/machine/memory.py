"""How much memory this process takes, and how it gives back what it no longer needs."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_IN_MEMORY = "/dev/shm"
# For each version of control groups: the limit, the usage, and where it says how much of that is page cache.
_ACCOUNTS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
# The first version says "no limit" with a number like this.
_NO_LIMIT = 1 << 60


# Of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_TRIMMED_BYTES, _MAPPED_BYTES = 16 << 20, 4 << 20


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def return_freed() -> None:
    """Make the C library return freed pages to the system; otherwise it keeps the memory of a closed model."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def give_back_large() -> None:
    """Have the C library map large blocks and return them when they are freed; else it learns to keep them all.

    Photos of usual size stay below, and are decoded as fast as before.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        for option, size_bytes in ((_TRIM_THRESHOLD, _TRIMMED_BYTES), (_MMAP_THRESHOLD, _MAPPED_BYTES)):
            set_option(option, size_bytes)


def room_bytes(cgroups: Path = _CGROUPS) -> float:
    """How much more this container may take before it is killed; infinite without a limit.

    Pages of files count as room: the kernel gives them up first.
    """
    for limit, used, accounts, files in _ACCOUNTS:
        # "max" is no number: there is no limit.
        with suppress(OSError, ValueError):
            most = int((cgroups / limit).read_text())
            if most >= _NO_LIMIT:
                return float("inf")
            pages = dict(line.split() for line in (cgroups / accounts).read_text().splitlines())
            return float(most - int((cgroups / used).read_text()) + int(pages.get(files, 0)))
    return float("inf")


def left_bytes() -> float:
    """How much more this process may take before something is killed, in its container or on the whole machine."""
    return min(room_bytes(), float(psutil.virtual_memory().available))


def scratch_folder() -> str | None:
    """For a few kilobytes that need a folder for a moment: in memory, so that a full disk stands in no way. None where
    there is none, and `tempfile` looks for one.
    """
    return _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK | os.X_OK) else None
