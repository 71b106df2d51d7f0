"""What a benchmark finds, and how its parts are timed."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

Say = Callable[[str], None]
Figures = dict[str, float]


@dataclass(frozen=True)
class Found:
    """What was measured, `how`, and beside what; `pages` are files for people, written to `include/studies/`."""

    figures: Mapping[str, float]
    how: str
    pages: Mapping[str, bytes] = field(default_factory=dict)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def calls_per_second(call: Callable[[], object], *, callers: int, at_least_seconds: float) -> float:
    """Calls answered per second while each of `callers` threads calls again as soon as it has an answer.

    The first second warms up and is not counted.
    """

    def ask(until: float) -> int:
        calls = 0
        while time.monotonic() < until:
            call()
            calls += 1
        return calls

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(ask, [time.monotonic() + 1] * callers))
        began = time.monotonic()
        return sum(pool.map(ask, [began + at_least_seconds] * callers)) / (time.monotonic() - began)


def compared(name: str, unit: str, *, ours: float, plain: float) -> Figures:
    """Our way, the plain way, and how many times better ours is.

    `unit` is `seconds`, of which fewer are better, or something `per_second`, of which more are better.
    """
    ratio = plain / ours if unit == "seconds" else ours / plain
    return {
        f"{name}_{unit}": ours,
        f"{name}_plain_{unit}": plain,
        f"{name}_ratio": ratio,
    }
