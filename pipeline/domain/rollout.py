"""What becomes of a canary: a share of the requests, watched until people confirmed enough of it (specification §11).

Stable and canary saw different photos, so their shares are compared by Newcombe's interval of a difference, made of
the two Wilson intervals ("Interval estimation for the difference between independent proportions", 1998).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pipeline.domain.bounds import AtLeastOne, Confidence, Range, Share
from pipeline.domain.live_accuracy import Tally
from pipeline.domain.statistics import Interval, wilson

Decision = Literal["promote", "abort", "wait"]

# Share of `min_confirmations` that must be there before harm may end a canary early.
_EARLY_SHARE = 0.2


@dataclass(frozen=True)
class CanarySeen:
    """What one replica says of the canary: `running`, or how the last one ended. `verdict` is `aborted` or `roll back`
    when it saw errors or slowness.
    """

    replica: str
    version: str | None
    verdict: str
    reason: str
    requests: int
    errors: int

    @property
    def running(self) -> bool:
        return self.version is not None and self.verdict not in {"", "aborted", "promoted"}


@dataclass(frozen=True)
class CanaryVerdict:
    decision: Decision
    reason: str


def difference(first: Tally, second: Tally, confidence: float) -> Interval:
    """Two-sided interval of the accuracy of `first` less that of `second`; [-1, 1] when either has none."""
    if not first.confirmed or not second.confirmed:
        return Interval(-1.0, 1.0)
    p, q = first.agreed / first.confirmed, second.agreed / second.confirmed
    a, b = wilson(first.agreed, first.confirmed, confidence), wilson(second.agreed, second.confirmed, confidence)
    low = p - q - math.hypot(p - a.low, b.high - q)
    high = p - q + math.hypot(a.high - p, q - b.low)
    return Interval(max(-1.0, low), min(1.0, high))


@dataclass(frozen=True)
class CanaryPolicy:
    """Promote on enough confirmations without evidence of harm; abort on harm, or at the deadline without enough.

    Since it is looked at many times, harm needs more confidence before the end (`early_confidence`) than at it.
    """

    percent: Annotated[float, Range(above=0, at_most=100)] = 10.0
    """Share of the requests that a canary answers."""
    min_confirmations: AtLeastOne = 100
    """Confirmations of the canary's own answers that decide."""
    deadline_hours: Annotated[float, Range(above=0, at_most=72)] = 24.0
    """A canary without enough confirmations by then is aborted."""
    floor: Share = 0.80
    """Accuracy that a canary must not surely fall below: that at which a champion is taken down."""
    confidence: Confidence = 0.95
    """How sure harm has to be when enough people confirmed."""
    early_confidence: Confidence = 0.995
    """How sure harm has to be while fewer people confirmed."""

    def judge(
        self, canary: Tally, stable: Tally, seen: Sequence[CanarySeen], *, started: datetime, now: datetime
    ) -> CanaryVerdict:
        for replica in seen:
            if replica.verdict in {"aborted", "roll back"}:
                return CanaryVerdict("abort", f"{replica.replica}: {replica.reason}")
        enough, some = (canary.confirmed >= self.min_confirmations * share for share in (1.0, _EARLY_SHARE))
        confidence = self.confidence if enough else self.early_confidence
        figures = f"{_figures(canary)} of the canary against {_figures(stable)} of the champion"
        gap = difference(canary, stable, confidence)
        if some and gap.high < 0:
            return CanaryVerdict("abort", f"{figures}: worse by at least {-gap.high:.1%}")
        if some and wilson(canary.agreed, canary.confirmed, confidence).high < self.floor:
            return CanaryVerdict("abort", f"{figures}: surely below {self.floor:.0%}")
        if enough:
            return CanaryVerdict(
                "promote", f"{figures}: no evidence of harm (difference {gap.low:+.1%} to {gap.high:+.1%})"
            )
        if now - started >= timedelta(hours=self.deadline_hours):
            return CanaryVerdict(
                "abort",
                f"{canary.confirmed} confirmations within {self.deadline_hours:g} hours, "
                f"{self.min_confirmations} needed: too few to tell",
            )
        return CanaryVerdict("wait", f"{figures}; {self.min_confirmations} confirmations are needed")


def _figures(tally: Tally) -> str:
    return f"{tally.agreed}/{tally.confirmed} right"
