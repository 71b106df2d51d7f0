"""How far apart scores lie of one person and of two people: a histogram of both, and the curve of both errors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

BINS = 400
"""Of equal width, from a cosine of -1 to one of 1."""


@dataclass(frozen=True)
class Point:
    """At one threshold the shares, 0-1, of pairs of two people that are accepted and of pairs of one person that are
    refused.
    """

    threshold: float
    far: float
    frr: float


@dataclass(frozen=True)
class Scores:
    """How many pairs of photos of one person, and of two people, have a cosine in each of `BINS`."""

    mates: Sequence[int]
    impostors: Sequence[int]

    def det(self) -> tuple[Point, ...]:
        """Detection error trade-off at the lower end of each bin where either error changes; empty when pairs of one of
        the two kinds are missing.
        """
        if not sum(self.mates) or not sum(self.impostors):
            return ()
        return tuple(self._changing())

    def _changing(self) -> Iterator[Point]:
        refused = [0, *accumulate(self.mates)]
        below = [0, *accumulate(self.impostors)]
        before = None
        for number in range(BINS + 1):
            far, frr = 1 - below[number] / below[-1], refused[number] / refused[-1]
            if (far, frr) != before:
                yield Point(-1 + 2 * number / BINS, far, frr)
            before = far, frr
