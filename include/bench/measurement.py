"""One comparison: our way and the plain way, measured in the same run."""

import time
from collections.abc import Callable
from dataclasses import dataclass

Say = Callable[[str], None]


@dataclass(frozen=True)
class Measurement:
    """`ours` and `plain` are in `unit`; seconds are better when fewer, everything else when more."""

    name: str
    unit: str
    ours: float
    plain: float
    plain_is: str
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times better ours is; above 1 is better."""
        return self.plain / self.ours if self.unit == "s" else self.ours / self.plain

    def figures(self) -> dict[str, float]:
        unit = {"s": "seconds"}.get(self.unit, self.unit.replace("/s", "_per_second"))
        return {
            f"{self.name}_{unit}": round(self.ours, 3),
            f"{self.name}_plain_{unit}": round(self.plain, 3),
            f"{self.name}_ratio": round(self.ratio, 3),
        }


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
