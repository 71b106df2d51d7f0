"""One look of the monitor at a face champion, as it is kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pipeline.domain.faces.live import Rate
from pipeline.domain.faces.watching import FaceReading, FaceState


@dataclass(frozen=True)
class SeenRate:
    """A rate as it was seen: `failed` of `checks`, about so many `people`; `low` and `high` are 0-1, of 95 %."""

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


@dataclass(frozen=True)
class FaceLook:
    """`reason` is a sentence of the policy; `decision` says what was done about it, or why nothing."""

    version: str
    at: datetime
    state: FaceState
    reason: str
    refused: SeenRate
    accepted: SeenRate
    decision: str

    @classmethod
    def of(cls, reading: FaceReading, at: datetime, decision: str) -> Self:
        rates = SeenRate.of(reading.refused), SeenRate.of(reading.accepted)
        return cls(reading.version, at, reading.state, reading.reason, *rates, decision)
