"""Work in a new process, whose peak of memory is that of the work alone."""

import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any


def in_child(work: Callable[..., dict[str, float]], *values: Any) -> dict[str, float]:
    """What `work` returns there, and `peak_mb`: the most memory that was resident at once."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_watched, work, *values).result()


def _watched(work: Callable[..., dict[str, float]], *values: Any) -> dict[str, float]:
    found = work(*values)
    high_water = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert high_water, "Linux says how much memory a process ever had"
    return {**found, "peak_mb": int(high_water[1]) / 1024}
