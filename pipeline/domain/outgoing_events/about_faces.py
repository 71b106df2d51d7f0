"""Events about face models while they are live."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pipeline.domain.faces.watching import FaceReading
from pipeline.domain.outgoing_events.event import OfModelType


@dataclass(frozen=True, kw_only=True)
class FaceRatesEvent(OfModelType):
    """Shares 0-1 of the checks that people confirmed, None when there are none; `people` that they were about."""

    model_version: str
    wrongly_refused: float | None
    wrongly_accepted: float | None
    people: int
    reason: str
    at: datetime

    @classmethod
    def of(cls, reading: FaceReading, **more: Any) -> Self:
        return cls(
            model_version=reading.version,
            wrongly_refused=reading.refused.share,
            wrongly_accepted=reading.accepted.share,
            people=max(reading.refused.people, reading.accepted.people),
            reason=reading.reason,
            **more,
        )


@dataclass(frozen=True, kw_only=True)
class FaceRatesRecoveredEvent(FaceRatesEvent):
    """Both rates are well below the alert again."""


@dataclass(frozen=True, kw_only=True)
class FaceRatesHighEvent(FaceRatesEvent):
    """People are refused, or let in, wrongly; `consequence` and `needs_person` as in `LiveAccuracyLowEvent`."""

    consequence: str
    needs_person: bool = False
