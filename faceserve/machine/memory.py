"""What this process takes, and giving back what it no longer needs."""

import ctypes

import psutil


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def return_freed() -> None:
    """Have the C library hand freed pages back to the system: it keeps a closed model's memory otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
