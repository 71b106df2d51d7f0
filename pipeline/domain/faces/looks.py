"""One look of the monitor at a face champion, as it is recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pipeline.domain.faces.live import Rate
from pipeline.domain.faces.watching import FaceReading, FaceState


@dataclass(frozen=True)
class SeenRate:
    """A rate as it was seen: `failed` of `checks`, about this many `people`; `low` and `high` (0-1) are its 95 %
    interval.
    """

    failed: int
    checks: int
    people: int
    low: float
    high: float

    @classmethod
    def of(cls, rate: Rate) -> Self:
        return cls(rate.failed, rate.checks, rate.people, rate.interval.low, rate.interval.high)

    @property
    def share(self) -> float | None:
        return self.failed / self.checks if self.checks else None


NOBODY_SEEN = SeenRate(0, 0, 0, 0.0, 1.0)


@dataclass(frozen=True)
class FaceLook:
    """`reason` is a sentence of the policy; `decision` says what was done about it, or why nothing. Rates are as in
    `FaceReading`.
    """

    version: str
    at: datetime
    state: FaceState
    reason: str
    refused: SeenRate
    accepted: SeenRate
    decision: str
    unnamed: SeenRate = NOBODY_SEEN
    misnamed: SeenRate = NOBODY_SEEN

    @property
    def rates(self) -> Mapping[str, SeenRate]:
        return {
            "refused": self.refused,
            "accepted": self.accepted,
            "unnamed": self.unnamed,
            "misnamed": self.misnamed,
        }

    @classmethod
    def of(cls, reading: FaceReading, at: datetime, decision: str) -> Self:
        rates = (reading.refused, reading.accepted, reading.unnamed, reading.misnamed)
        refused, accepted, *of_sought = map(SeenRate.of, rates)
        return cls(reading.version, at, reading.state, reading.reason, refused, accepted, decision, *of_sought)
