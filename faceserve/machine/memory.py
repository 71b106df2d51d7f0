"""How much memory this process takes, and how it gives back what it no longer needs."""

import ctypes

import psutil


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def return_freed() -> None:
    """Make the C library return freed pages to the system; otherwise it keeps the memory of a closed model."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
