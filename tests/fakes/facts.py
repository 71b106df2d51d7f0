"""Totals over the fake confirmations, decisions, runs, readings and events."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.domain.figures.production import Confirmed, LookedAt, Predicted
from pipeline.domain.figures.retraining import Decided
from pipeline.domain.models import ModelType
from pipeline.ports.facts import Waiting
from tests.builders import NOW
from tests.fakes.data import FakeErasures
from tests.fakes.events import FakeConfirmations, FakeDecisions, FakeOutbox, FakeRetrainingRuns
from tests.fakes.live import FakeReadings


@dataclass
class FakeTotals:
    """Decisions are those of `NOW`; runs ended in the order in which they are kept, all of `LAUNDRY`."""

    confirmations: FakeConfirmations = field(default_factory=FakeConfirmations)
    decisions: FakeDecisions = field(default_factory=FakeDecisions)
    runs: FakeRetrainingRuns = field(default_factory=FakeRetrainingRuns)
    readings: FakeReadings = field(default_factory=FakeReadings)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    erasures: FakeErasures | None = None

    def confirmed(self) -> Sequence[Confirmed]:
        groups: dict[tuple[str, str, bool], list[float | None]] = {}
        for event in self.confirmations.stored.values():
            key = (event.model_version or "", event.final_result, event.corrected)
            groups.setdefault(key, []).append(review_seconds(event.extra.get("reviewSeconds")))
        timed = {key: [one for one in found if one is not None] for key, found in groups.items()}
        return [Confirmed(*key, len(groups[key]), len(timed[key]), sum(timed[key])) for key in groups]

    def predicted(self, versions: Collection[str]) -> Sequence[Predicted]:
        groups: dict[tuple[str, str, str], list[float | None]] = {}
        for event in self.confirmations.stored.values():
            branch = event.extra.get("branchId")
            named = branch if isinstance(branch, str) and len(branch) <= 64 else ""
            key = (event.model_version or "", named, event.ai_result)
            groups.setdefault(key, []).append(_plain(event.extra.get("confidence"), most=1))
        rated = {key: [one for one in found if one is not None] for key, found in groups.items()}
        return [
            Predicted(*key, len(groups[key]), len(rated[key]), sum(rated[key]))
            for key in sorted(groups)
            if key[0] in versions
        ]

    def decided(self, model_type: ModelType) -> Sequence[Decided]:
        counted = Counter((d.rule, d.due) for of, d, _ in self.decisions.recorded if of is model_type)
        return [Decided(rule, due, times, NOW) for (rule, due), times in sorted(counted.items())]

    def ended(self, model_type: ModelType) -> Sequence[str]:
        return list(reversed(self.runs.ended.values())) if model_type is ModelType.LAUNDRY else []

    def newest_look(self, model_type: ModelType) -> LookedAt | None:
        return max(self._looks(model_type), key=lambda one: one.at, default=None)

    def looks(self, model_type: ModelType, versions: Collection[str]) -> Sequence[LookedAt]:
        newest = {look.version: look for look in sorted(self._looks(model_type), key=lambda one: one.at)}
        return [newest[version] for version in sorted(newest) if version in versions]

    def _looks(self, model_type: ModelType) -> Sequence[LookedAt]:
        return [
            LookedAt(
                look.reading.version,
                look.at,
                look.reading.state,
                *(look.reading.confirmed, look.reading.agreed),
                *(look.seen.blind.confirmed, look.seen.blind.agreed),
            )
            for look in self.readings.looks
            if look.model_type is model_type
        ]

    def waiting(self) -> Waiting:
        return Waiting(len(self.outbox.pending()), 0.0, 0.0)

    def erased(self) -> int:
        return len(self.erasures.all()) if self.erasures else 0

    def begun(self) -> datetime:
        return NOW


def review_seconds(said: object) -> float | None:
    return _plain(said, most=3600)


def _plain(said: object, *, most: float) -> float | None:
    number = isinstance(said, int | float) and not isinstance(said, bool)
    return float(said) if number and 0 <= said <= most else None  # type: ignore[operator]
