"""A verdict on a face model as people read it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.domain.blessing import Blessing
from pipeline.domain.faces.curves import Scores


@dataclass(frozen=True)
class SliceFigures:
    """Of a slice: the share of pairs of one person that is refused, NaN without one, and its interval."""

    name: str
    people: int
    refused: float
    low: float
    high: float


@dataclass(frozen=True)
class FaceReport:
    """A verdict as people read it; nobody is named in it. `people` are counted by side."""

    blessing: Blessing
    threshold: float
    way: str
    people: Mapping[str, int]
    slices: Sequence[SliceFigures]
    scores: Scores | None
    champion_scores: Scores | None
    identification: Sequence[tuple[int, float]] = ()

    def share_of_mates_from(self, threshold: float) -> float:
        """Of pairs of one person, as far as bins tell: no more people than that are found among others."""
        mates = self.scores.mates if self.scores else ()
        from_ = round((threshold + 1) / 2 * len(mates))
        return sum(mates[from_:]) / sum(mates) if sum(mates) else math.nan


class FaceReportPrinter(Protocol):
    def html(self, report: FaceReport) -> bytes: ...
