"""Trial servers, checks, blessings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from pipeline.domain.blessing import Blessing, Override
from pipeline.domain.checks import Check, PerformanceMeasurement
from pipeline.domain.errors import ModelRefused, TryAgain
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.ports.verification import StartedServer, Trial, VerificationReport
from tests.builders import a_performance
from tests.fakes.events import FakeOutbox


@dataclass
class FakeTrial:
    answers: Mapping[bytes, str]
    performances: list[PerformanceMeasurement]

    def classify(self, photos: Iterable[bytes]) -> Sequence[str]:
        return [self.answers[photo] for photo in photos]

    def measure(self, photos: Sequence[bytes], *, requests: int, concurrency: int) -> PerformanceMeasurement:
        return self.performances.pop(0) if len(self.performances) > 1 else self.performances[0]


@dataclass
class FakeTrialServer:
    """What each version answers for each photo, and how fast: once after the other, the last again and again.

    `served` are the versions in their order, `starts` counts servers; `away` is why none starts.
    """

    answers: dict[str, Mapping[bytes, str]] = field(default_factory=dict)
    performances: dict[str, list[PerformanceMeasurement]] = field(default_factory=dict)
    served: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    trial: type[FakeTrial] = FakeTrial
    starts: int = 0
    away: TryAgain | None = None

    @contextmanager
    def serve(self, model_type: ModelType, version: str, artifact: Artifact) -> Iterator[Trial]:
        with self.start(model_type) as server:
            yield server.load(version, artifact)

    @contextmanager
    def start(self, model_type: ModelType) -> Iterator[StartedServer]:
        ModelType(model_type)  # raises for what is none
        if self.away:
            raise self.away
        self.starts += 1
        yield self

    def load(self, version: str, artifact: Artifact) -> Trial:
        if version in self.refused:
            raise ModelRefused(f"the model server refuses this model: {self.refused[version]}")
        self.served.append(version)
        return self.trial(self.answers.get(version, {}), self.performances.setdefault(version, [a_performance()]))


@dataclass
class FakePrinter:
    sheets: list[list[str]] = field(default_factory=list)

    def contact_sheet(self, photos: Iterable[tuple[str, bytes]]) -> bytes:
        shown = list(photos)
        self.sheets.append([name for name, _ in shown])
        return b"PNG of " + b", ".join(name.encode() + b": " + body for name, body in shown)

    def html(self, report: VerificationReport) -> bytes:
        return self.with_flips(f"<h1>{report.blessing.verdict}</h1>".encode(), report.flips or b"")

    def with_flips(self, page: bytes, flips: bytes) -> bytes:
        return page.partition(b"<img>")[0] + b"<img>" + flips


@dataclass
class FakeBlessings:
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    granted: dict[str, Blessing] = field(default_factory=dict)
    overrides: dict[str, Override] = field(default_factory=dict)

    def grant(self, blessing: Blessing, event: OutgoingEvent | None) -> None:
        if blessing.run_id not in self.granted:
            self.granted[blessing.run_id] = blessing
            if event is not None:
                self.outbox.add(event)

    def of_run(self, run_id: str) -> Blessing | None:
        found = self.granted.get(run_id)
        return replace(found, override=self.overrides.get(run_id)) if found else None

    def override(self, override: Override) -> None:
        if override.counts_after(self.overrides.get(override.run_id)):
            self.overrides[override.run_id] = override


@dataclass
class FakeChecks:
    blessings: FakeBlessings = field(default_factory=FakeBlessings)
    saved: dict[str, dict[str, Sequence[Check]]] = field(default_factory=dict)

    def save(self, run_id: str, part: str, checks: Sequence[Check]) -> None:
        if self.blessings.of_run(run_id) is None:
            self.saved.setdefault(run_id, {})[part] = list(checks)

    def of(self, run_id: str) -> Sequence[Check]:
        return [check for _, checks in sorted(self.saved.get(run_id, {}).items()) for check in checks]
