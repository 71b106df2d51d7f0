"""Versions, transitions, registry, fleet."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from pipeline.domain.errors import ModelRefused, ServiceUnavailable, StaleTransition, UnknownVersion
from pipeline.domain.history import Row
from pipeline.domain.ledger import Ledger
from pipeline.domain.model_events import OutgoingEvent
from pipeline.domain.models import Artifact, ModelType, ModelVersion, Status, VersionNumber
from pipeline.domain.rollout import CanarySeen
from pipeline.domain.serving import Serving
from pipeline.domain.transitions import Entry, Phase
from pipeline.ports.deployment import Prepared, Swap
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
    """Compare-and-swap and locks as the table has them; a lock that is not free says who would wait for ever."""

    versions: FakeVersions = field(default_factory=FakeVersions)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    ledgers: dict[ModelType, Ledger] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)

    def ledger(self, model_type: ModelType) -> Ledger:
        return self.ledgers.get(model_type, Ledger(model_type))

    def append(self, ledger: Ledger, *entries: Entry, events: Sequence[OutgoingEvent] = ()) -> Ledger:
        now = self.ledger(ledger.model_type)
        if now.position != ledger.position:
            raise StaleTransition("something else happened meanwhile")
        _demand_once(now, entries)
        self.ledgers[ledger.model_type] = now.followed_by(*entries)
        self.project(ledger.model_type)
        for event in events:
            self.outbox.add(event)
        return self.ledgers[ledger.model_type]

    def project(self, model_type: ModelType) -> Sequence[str]:
        rows, wrong = self.ledger(model_type).rows, []
        for key, row in list(self.versions.rows.items()) if rows else ():
            if row.model_type is model_type:
                said = rows.get(row.version, Row(Status.CANDIDATE))
                self.versions.rows[key] = replace(row, **vars(said))
                wrong += [row.version] if self.versions.rows[key] != row else []
        return sorted(wrong)

    @contextmanager
    def exclusive(self, model_type: ModelType) -> Iterator[None]:
        with self._locked(f"champion of {model_type}"):
            yield

    @contextmanager
    def preparing(self, model_type: ModelType) -> Iterator[None]:
        with self._locked(f"deployment of {model_type}"):
            yield

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        if name in self.held:
            raise WouldWait(name)
        self.held.add(name)
        try:
            yield
        finally:
            self.held.discard(name)

    def phases(self, model_type: ModelType = ModelType.LAUNDRY) -> list[Phase]:
        return [entry.phase for entry in self.ledger(model_type).entries]


class WouldWait(Exception):
    """The real lock would wait here until the other act is over."""


def _demand_once(ledger: Ledger, entries: Sequence[Entry]) -> None:
    for entry in entries:
        if any((e.phase, e.act.id) == (entry.phase, entry.act.id) for e in ledger.facts):
            raise StaleTransition(f"{entry.act.id} is {entry.phase} already")


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
    """Replicas as faceserve behaves: `refuses` names versions that they will not load, `down` replicas that do not
    answer, `forgets` those that say yes and go on as before.
    """

    names: tuple[str, ...] = ("replica-1", "replica-2")
    out: tuple[str, ...] = ()
    versions: dict[ModelType, dict[str, str]] = field(default_factory=dict)
    prepared: set[tuple[str, str]] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    forgets: set[str] = field(default_factory=set)
    swaps: list[str] = field(default_factory=list)
    trials: dict[str, CanarySeen] = field(default_factory=dict)

    def skipped(self) -> Sequence[str]:
        return self.out

    def serving(self, model_type: ModelType) -> Sequence[Serving]:
        now = self.versions.get(model_type, {})
        return [
            Serving(name, None, fault="does not answer") if name in self.down else Serving(name, now.get(name))
            for name in self.names
        ]

    def prepare(self, model_type: ModelType, version: str, artifact: Artifact) -> Prepared:
        self._demand_answers()
        self._demand_loads(version)
        self.prepared |= {(name, version) for name in self.names}
        return Prepared(version, dict.fromkeys(self.names, 1), 0.5)

    def activate(self, model_type: ModelType, prepared: Prepared) -> Swap:
        self._demand_answers()
        for name in self.names:
            self._serve(model_type, name, prepared.version)
        self.swaps.append(prepared.version)
        return Swap(self.names, 0.01, 0.51, {})

    def bring_back(
        self, model_type: ModelType, version: str, artifact: Artifact, replicas: Collection[str] | None = None
    ) -> Swap:
        wanted = [name for name in self.names if replicas is None or name in replicas]
        there = [name for name in wanted if name not in self.down | self.forgets]
        if not there:
            raise ServiceUnavailable("faceserve", f"no replica could be brought back to {version}")
        self._demand_loads(version)
        for name in there:
            self._serve(model_type, name, version)
        self.swaps.append(version)
        return Swap(tuple(there), 0.01, 0.5, {name: "does not answer" for name in wanted if name not in there})

    def discard(self, model_type: ModelType, version: str) -> None:
        self.prepared -= {(name, version) for name in self.names}

    def give_canary(self, model_type: ModelType, version: str, percent: float) -> None:
        for name in self.names:
            if name in self.down:
                raise ServiceUnavailable("faceserve", f"{name} does not answer")
            assert (name, version) in self.prepared, f"{version} is not prepared on {name}"
            running = self.trials.get(name)
            if running is None or running.version != version or not running.running:
                self.trials[name] = CanarySeen(name, version, "inconclusive", "", 0, 0)

    def canaries(self, model_type: ModelType) -> Sequence[CanarySeen]:
        answering = [name for name in self.names if name not in self.down]
        return [self.trials.get(name, CanarySeen(name, None, "", "", 0, 0)) for name in answering]

    def abort_canary(self, model_type: ModelType, version: str, reason: str) -> None:
        for name, seen in self.trials.items():
            if seen.version == version and seen.running and name not in self.down:
                self.trials[name] = replace(seen, verdict="aborted", reason=reason)
        self._demand_answers()

    def restart(self, name: str, model_type: ModelType, champion: str | None) -> None:
        """Its memory is gone: it serves what the registry calls champion."""
        self.trials.pop(name, None)
        self.prepared = {(other, version) for other, version in self.prepared if other != name}
        if champion is not None:
            self.versions.setdefault(model_type, {})[name] = champion

    def _serve(self, model_type: ModelType, name: str, version: str) -> None:
        if name in self.forgets:
            return
        trial = self.trials.get(name)
        if trial is not None and trial.running and self.versions.get(model_type, {}).get(name) != version:
            self.trials[name] = replace(trial, verdict="promoted" if trial.version == version else "aborted")
        self.versions.setdefault(model_type, {})[name] = version

    def _demand_answers(self) -> None:
        if self.down & set(self.names):
            raise ServiceUnavailable("faceserve", f"{', '.join(sorted(self.down))} does not answer")

    def _demand_loads(self, version: str) -> None:
        if version in self.refuses:
            raise ModelRefused(f"replica-1 refused {version}: golden predictions differ")
