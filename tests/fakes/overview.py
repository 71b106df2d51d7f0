"""What people look at, over the fakes that others write to."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.domain.history import History
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.overview import Answer, Judged, Page, Sighting, Unpublished, Voice
from pipeline.domain.withholding import NAMEABLE, Scope, Withheld, standing
from pipeline.domain.worth import Reviewed
from pipeline.ports.live import Look
from tests.builders import NOW
from tests.fakes.data import FakeWithholdings
from tests.fakes.deployment import FakeVersions
from tests.fakes.events import FakeDecisions, FakeOutbox
from tests.fakes.facts import review_seconds
from tests.fakes.live import FakeReadings
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings


@dataclass
class FakeSightings:
    readings: FakeReadings
    versions: FakeVersions
    blessings: FakeBlessings
    trained: FakeTrainingRuns
    outbox: FakeOutbox
    decisions: FakeDecisions = field(default_factory=FakeDecisions)
    withholdings: FakeWithholdings = field(default_factory=FakeWithholdings)

    def last(self, model_type: ModelType) -> Sighting | None:
        looks = self._looks(model_type)
        return _sighting(looks[-1]) if looks else None

    def within(self, model_type: ModelType, period: Period, *, most: int) -> Sequence[Sighting]:
        span = (period.until - period.since) / most
        found = (look for look in self._looks(model_type) if period.since < look.at <= period.until)
        return [_sighting(look) for look in {(look.at - period.since) // span: look for look in found}.values()]

    def answers(self, model_type: ModelType, *, most: int) -> Sequence[Answer]:
        told = zip(self.decisions.recorded, self.decisions.at, strict=True)
        found = [Answer(at, d.due, d.rule, d.reason, who) for (kind, d, who), at in told if kind is model_type]
        return sorted(found, key=lambda answer: answer.at, reverse=True)[:most]

    def unpublished(self) -> Unpublished:
        waiting = len(self.outbox.pending())
        return Unpublished(waiting, NOW if waiting else None)

    def withheld(self) -> Sequence[Withheld]:
        return standing(self.withholdings.all())

    def voices(self, history: History, period: Period, *, most: int) -> Sequence[Voice]:
        known = self.withheld()
        events = [e for e in self.withholdings.confirmations.counting if e.corrected]
        words = {e.key: self.withholdings.words([e.task_id])[e.task_id] for e in events}
        events = [e for e in events if not any(one.covers(e.confirmed_at, [words[e.key]]) for one in known)]
        times = Counter({r.version: 0 for r in sorted(history.reigns, key=lambda r: r.since, reverse=True)[:most]})
        for reign in history.reigns:
            times[reign.version] += sum(reign.since < e.confirmed_at <= (reign.until or period.until) for e in events)
        recent = [words[e.key] for e in events if period.since < e.confirmed_at <= period.until]
        found = [Voice(Scope.VERSION, *row) for row in times.items()]
        for scope, names in (
            (Scope.REVIEWER, [word.reviewer for word in recent if re.search(NAMEABLE, word.reviewer or "")]),
            (Scope.BRANCH, [word.branch for word in recent if re.search(NAMEABLE, word.branch or "")]),
        ):
            most_first = sorted(Counter(names).items(), key=lambda row: (-row[1], row[0]))
            found += [Voice(scope, *row) for row in most_first[:most]]
        return found

    def reviews(self) -> Sequence[Reviewed]:
        groups: dict[tuple[str, bool], list[float | None]] = {}
        for event in self.withholdings.confirmations.counting:
            took = review_seconds(event.extra.get("reviewSeconds"))
            if event.model_version:
                groups.setdefault((event.model_version, event.corrected), []).append(took)
        timed = {key: [one for one in all_ if one is not None] for key, all_ in groups.items()}
        return [
            Reviewed(*key, len(groups[key]), len(took), sum(took), sum(one**2 for one in took))
            for key, took in timed.items()
        ]

    def page(self, model_type: ModelType, *, most: int, skip: int) -> Page:
        found = self._judged(model_type)[skip:]
        return Page(found[:most], more=len(found) > most)

    def judged(self, model_type: ModelType, version: str) -> Judged | None:
        return next((j for j in self._judged(model_type) if j.version and j.version.version == version), None)

    def _judged(self, model_type: ModelType) -> list[Judged]:
        versions: dict[str, ModelVersion] = {v.run_id: v for v in self.versions.all(model_type)}
        runs = {*versions, *(b.run_id for b in self.blessings.granted.values() if b.model_type == model_type)}
        found = [self._of_run(run_id, versions.get(run_id)) for run_id in runs]
        return sorted(sorted(found, key=lambda j: j.run_id), key=lambda j: j.at, reverse=True)

    def _of_run(self, run_id: str, version: ModelVersion | None) -> Judged:
        blessing = self.blessings.of_run(run_id)
        at = blessing.decided_at if blessing else NOW
        return Judged(run_id, at, version, blessing, self.trained.result(run_id))

    def _looks(self, model_type: ModelType) -> list[Look]:
        return sorted((one for one in self.readings.looks if one.model_type is model_type), key=lambda look: look.at)


def _sighting(look: Look) -> Sighting:
    reading, blind = look.reading, look.seen.blind
    figures = (reading.confirmed, reading.accuracy, reading.low, reading.high, blind.confirmed, blind.agreed)
    return Sighting(look.at, reading.version, reading.state, *figures, look.decision)
