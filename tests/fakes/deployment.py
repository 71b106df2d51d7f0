"""Versions, transitions, registry, fleet."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.domain.errors import ModelRefused, PromotionFrozen, ServiceUnavailable, StaleTransition, UnknownVersion
from pipeline.domain.events import OutgoingEvent
from pipeline.domain.models import (
    ROLLBACKS,
    Artifact,
    FailedChange,
    Kind,
    ModelType,
    ModelVersion,
    Status,
    Transition,
    VersionNumber,
    frozen_by,
)
from pipeline.domain.rollout import CanarySeen
from pipeline.ports.deployment import Serving, Swap
from tests.fakes.events import FakeOutbox


@dataclass
class FakeVersions:
    rows: dict[tuple[ModelType, str], ModelVersion] = field(default_factory=dict)

    def register(self, version: ModelVersion) -> ModelVersion:
        if (earlier := self.of_run(version.run_id)) is not None:
            return earlier
        self.rows[version.model_type, version.version] = version
        return version

    def get(self, model_type: ModelType, version: str) -> ModelVersion:
        if (model_type, version) not in self.rows:
            raise UnknownVersion(f"{model_type} has no version {version!r}")
        return self.rows[model_type, version]

    def of_run(self, run_id: str) -> ModelVersion | None:
        return next((v for v in self.rows.values() if v.run_id == run_id), None)

    def all(self, model_type: ModelType) -> Sequence[ModelVersion]:
        rows = [v for v in self.rows.values() if v.model_type is model_type]
        return sorted(rows, key=lambda v: VersionNumber.parse(v.version), reverse=True)


@dataclass
class FakeTransitions:
    versions: FakeVersions = field(default_factory=FakeVersions)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    log: list[tuple[str, Transition, str]] = field(default_factory=list)

    def served(self, model_type: ModelType) -> Sequence[Transition]:
        return [t for phase, t, _ in self.log if phase == "served" and t.model_type is model_type]

    def facts(self, model_type: ModelType) -> Sequence[Transition]:
        return [t for phase, t, _ in self.log if phase in {"served", "noted"} and t.model_type is model_type]

    def latest_failure(self, model_type: ModelType) -> FailedChange | None:
        ended = [e for e in self.log if e[0] in {"served", "failed"} and e[1].model_type is model_type]
        return FailedChange(ended[-1][1], ended[-1][2]) if ended and ended[-1][0] == "failed" else None

    def note(self, note: Transition, event: OutgoingEvent | None = None) -> None:
        if any(phase == "noted" and t.id == note.id for phase, t, _ in self.log):
            return
        self.log.append(("noted", note, ""))
        status = {
            Kind.CANARY_START: Status.CANARY,
            Kind.CANARY_ABORT: Status.RETIRED,
            Kind.ARCHIVE: Status.ARCHIVED,
            Kind.RESTORE: Status.RETIRED,
        }.get(note.kind)
        key = (note.model_type, note.to_version)
        if status is not None and key in self.versions.rows:
            self.versions.rows[key] = replace(self.versions.rows[key], status=status)
        if event is not None:
            self.outbox.add(event)

    def request(self, transition: Transition) -> None:
        freeze = frozen_by(self.facts(transition.model_type))
        if freeze is not None and transition.kind not in ROLLBACKS:
            raise PromotionFrozen(f"frozen since {freeze.from_version} was rolled back automatically")
        self._demand_current(transition)
        self.log.append(("requested", transition, ""))

    def confirm(self, transition: Transition, event: OutgoingEvent) -> None:
        if any(t.id == transition.id for t in self.served(transition.model_type)):
            return
        self._demand_current(transition)
        self.log.append(("served", transition, ""))
        self.outbox.add(event)
        self._project(transition)

    def fail(self, transition: Transition, reason: str) -> None:
        self.log.append(("failed", transition, reason))

    @contextmanager
    def exclusive(self, model_type: ModelType) -> Iterator[None]:
        yield

    def project(self, model_type: ModelType) -> Sequence[str]:
        served, before = self.served(model_type), dict(self.versions.rows)
        if not served:
            return []
        ever, champion = {t.to_version for t in served}, served[-1]
        for key, row in before.items():
            if row.model_type is not model_type:
                continue
            facts: dict[str, Any] = {}
            if row.version == champion.to_version:
                facts = {"status": Status.ACTIVE, "deployed_at": champion.confirmed_served_at}
                facts["previous_version"] = champion.from_version
            elif row.status is Status.ACTIVE or (row.status is Status.CANDIDATE and row.version in ever):
                facts = {"status": Status.RETIRED if row.version in ever else Status.CANDIDATE}
            self.versions.rows[key] = replace(row, **facts)
        return sorted(v.version for key, v in self.versions.rows.items() if v != before[key])

    def phases(self) -> list[str]:
        return [phase for phase, _, _ in self.log]

    def _demand_current(self, transition: Transition) -> None:
        served = self.served(transition.model_type)
        current = served[-1].to_version if served else None
        if current != transition.expected_current:
            raise StaleTransition(f"planned against {transition.expected_current}, {current} serves now")

    def _project(self, t: Transition) -> None:
        for key, row in self.versions.rows.items():
            served = row.status in {Status.ACTIVE, Status.CANARY}
            if row.model_type is t.model_type and served and row.version != t.to_version:
                self.versions.rows[key] = replace(row, status=Status.RETIRED)
        key = (t.model_type, t.to_version)
        if key in self.versions.rows:
            self.versions.rows[key] = replace(
                self.versions.rows[key],
                status=Status.ACTIVE,
                deployed_at=t.confirmed_served_at,
                previous_version=t.from_version,
            )


@dataclass
class FakeRegistry:
    """Aliases by model type, as people see them."""

    aliases: dict[ModelType, dict[str, str]] = field(default_factory=dict)
    registered: list[str] = field(default_factory=list)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    def register(
        self, version: ModelVersion, experiment_run_id: str | None, tags: Mapping[str, str] | None = None
    ) -> None:
        self.tags.setdefault(version.version, {}).update(tags or {})
        if version.version not in self.registered:
            self.registered.append(version.version)
            self.aliases.setdefault(version.model_type, {})["candidate"] = version.version

    def missing(self, versions: Sequence[ModelVersion]) -> Sequence[ModelVersion]:
        return [v for v in versions if v.version not in self.registered]

    def mirror(self, model_type: ModelType, *, champion: str, previous: str | None) -> None:
        named = {champion, previous}
        kept = {k: v for k, v in self.aliases.get(model_type, {}).items() if k == "candidate" and v not in named}
        self.aliases[model_type] = {**kept, "champion": champion} | ({"previous": previous} if previous else {})


@dataclass
class FakeFleet:
    """Two replicas that switch together; `refuses` names versions they will not load, `down` is out of reach."""

    names: tuple[str, ...] = ("replica-1", "replica-2")
    versions: dict[ModelType, dict[str, str]] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    down: bool = False
    swaps: list[str] = field(default_factory=list)
    trials: dict[str, CanarySeen] = field(default_factory=dict)

    def swap(self, model_type: ModelType, version: str, artifact: Artifact) -> Swap:
        if self.down:
            raise ServiceUnavailable("faceserve", "replica-2 does not answer")
        if version in self.refuses:
            raise ModelRefused(f"replica-1 refused {version}: golden predictions differ")
        if self.versions.get(model_type) != dict.fromkeys(self.names, version):
            ended = "promoted" if any(s.version == version for s in self.trials.values()) else "aborted"
            self.trials = {n: replace(s, verdict=ended) for n, s in self.trials.items()}
        self.versions[model_type] = dict.fromkeys(self.names, version)
        self.swaps.append(version)
        return Swap(tuple(self.serving(model_type)), 0.01, 0.5, 0.01)

    def serving(self, model_type: ModelType) -> Sequence[Serving]:
        if self.down:
            raise ServiceUnavailable("faceserve", "replica-2 does not answer")
        now = self.versions.get(model_type, {})
        return [Serving(name, now.get(name), None, 1) for name in self.names]

    def start_canary(self, model_type: ModelType, version: str, artifact: Artifact, percent: float) -> None:
        if self.down:
            raise ServiceUnavailable("faceserve", "replica-2 does not answer")
        if version in self.refuses:
            raise ModelRefused(f"replica-1 refused {version}: golden predictions differ")
        for name in self.names:
            running = self.trials.get(name)
            if running is None or running.version != version or running.verdict != "inconclusive":
                self.trials[name] = CanarySeen(name, version, "inconclusive", "", 0, 0)

    def canaries(self, model_type: ModelType) -> Sequence[CanarySeen]:
        if self.down:
            raise ServiceUnavailable("faceserve", "replica-2 does not answer")
        return [self.trials.get(name, CanarySeen(name, None, "", "", 0, 0)) for name in self.names]

    def abort_canary(self, model_type: ModelType, version: str, reason: str) -> None:
        if self.down:
            raise ServiceUnavailable("faceserve", "replica-2 does not answer")
        for name, seen in self.trials.items():
            if seen.version == version and seen.verdict == "inconclusive":
                self.trials[name] = replace(seen, verdict="aborted", reason=reason)
