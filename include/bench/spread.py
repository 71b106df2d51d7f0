"""What repeats of one measurement say together."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from include.bench.measurement import Figures

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """`low` to `high` holds the median of all repeats that could have been, whatever their distribution: with 95 % at
    least from six repeats on, and with less (94 % of five) before.
    """

    median: float
    least: float
    most: float
    low: float
    high: float

    @classmethod
    def of(cls, repeats: Sequence[float]) -> Self:
        ranked = sorted(repeats)
        aside = _aside(len(ranked))
        return cls(statistics.median(ranked), ranked[0], ranked[-1], ranked[aside], ranked[-1 - aside])

    def figures(self, name: str, *, worst: float) -> Figures:
        """By name; `worst` is the least or the most, whichever is worse."""
        return {
            f"{name}_median": self.median,
            f"{name}_median_low": self.low,
            f"{name}_median_high": self.high,
            f"{name}_worst": worst,
        }


def _aside(repeats: int) -> int:
    """How many of the smallest, and of the largest, lie outside the interval of the median.

    The median is below the one that comes next after `n` smallest ones if no more than `n` repeats fell below it, of
    which each one does with a chance of a half.
    """
    outside, aside = 2 * 0.5**repeats, 0
    while aside + 1 < repeats - 1 - aside:
        outside += 2 * math.comb(repeats, aside + 1) * 0.5**repeats
        if outside > 1 - _CONFIDENCE:
            break
        aside += 1
    return aside
