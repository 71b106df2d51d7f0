"""Versions, transitions, registry."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipeline.domain.blessing import Override, OverrideKind
from pipeline.domain.errors import StaleTransition, UnknownVersion
from pipeline.domain.history import Row
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType, ModelVersion, Status, newest_first
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.transitions import ChampionChange, Entry, Kind, Phase
from tests.fakes.data import FakeDatasets
from tests.fakes.events import FakeOutbox
from tests.fakes.verification import FakeBlessings


@dataclass
class FakeVersions:
    rows: dict[tuple[ModelType, str], ModelVersion] = field(default_factory=dict)
    datasets: FakeDatasets = field(default_factory=FakeDatasets)

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
        return newest_first(rows)

    def learned_until(self, model_type: ModelType, version: str) -> datetime | None:
        found = self.rows.get((model_type, version))
        dataset = self.datasets.completed.get(found.dataset_id) if found else None
        return dataset.corrections_through if dataset else None


@dataclass
class FakeTransitions:
    """Compare-and-swap and locks as the table has them; `wait` is called for a lock that is not free."""

    versions: FakeVersions = field(default_factory=FakeVersions)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    blessings: FakeBlessings = field(default_factory=FakeBlessings)
    ledgers: dict[ModelType, Ledger] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    wait: Callable[[str], None] = field(default_factory=lambda: for_ever)

    def ledger(self, model_type: ModelType) -> Ledger:
        return self.ledgers.get(model_type, Ledger(ModelType(model_type)))

    def append(self, ledger: Ledger, *entries: Entry, events: Sequence[OutgoingEvent] = ()) -> Ledger:
        now = self.ledger(ledger.model_type)
        if now.position != ledger.position:
            raise StaleTransition("something else happened meanwhile")
        _demand_once(now, entries)
        _demand_columns(entries)
        self.ledgers[ledger.model_type] = now.followed_by(*entries)
        self.project(ledger.model_type)
        for entry in entries:
            self._keep_override(entry)
        for event in events:
            self.outbox.add(event)
        return self.ledgers[ledger.model_type]

    def _keep_override(self, entry: Entry) -> None:
        act = entry.act
        if not isinstance(act, ChampionChange) or (entry.phase, act.kind) != (Phase.SERVED, Kind.FORCED):
            return
        for run_id in [b.run_id for b in self.blessings.granted.values() if b.id == act.blessing_id]:
            self.blessings.override(Override(run_id, OverrideKind.FORCED, act.by.actor, act.by.reason, act.at))

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
        with self._locked(f"champion of {ModelType(model_type)}"):
            yield

    @contextmanager
    def preparing(self, model_type: ModelType) -> Iterator[None]:
        with self._locked(f"deployment of {ModelType(model_type)}"):
            yield

    @contextmanager
    def moving_files(self, model_type: ModelType) -> Iterator[None]:
        with self._locked(f"files of {ModelType(model_type)}"):
            yield

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        while name in self.held:
            self.wait(name)
        self.held.add(name)
        try:
            yield
        finally:
            self.held.discard(name)

    def phases(self, model_type: ModelType = ModelType.LAUNDRY) -> list[Phase]:
        return [entry.phase for entry in self.ledger(model_type).entries]


class WouldWait(Exception):
    """The real lock would wait here until the other act is over."""


def for_ever(name: str) -> None:
    raise WouldWait(name)


def _demand_once(ledger: Ledger, entries: Sequence[Entry]) -> None:
    for entry in entries:
        if any((e.phase, e.act.id) == (entry.phase, entry.act.id) for e in ledger.facts):
            raise StaleTransition(f"{entry.act.id} is {entry.phase} already")


def _demand_columns(entries: Sequence[Entry]) -> None:
    """What is NOT NULL in the table."""
    for entry in entries:
        act, by = entry.act, entry.act.by
        told = (act.id, act.model_type, act.version, act.at, by.actor, by.reason, by.request_id, entry.at, entry.detail)
        assert None not in told, f"null value violates a not-null constraint: {entry}"


@dataclass
class FakeRegistry:
    """Aliases by model type, as people see them, and when a version became `champion` (seconds since 1970)."""

    aliases: dict[ModelType, dict[str, str]] = field(default_factory=dict)
    promoted_at: dict[str, float] = field(default_factory=dict)
    registered: list[str] = field(default_factory=list)
    accuracies: dict[str, float] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    def register(
        self, version: ModelVersion, experiment_run_id: str | None, tags: Mapping[str, str] | None = None
    ) -> None:
        self.tags.setdefault(version.version, {}).update(tags or {})
        if version.version not in self.registered:
            self.registered.append(version.version)
            self.accuracies[version.version] = version.accuracy
            self.aliases.setdefault(version.model_type, {})["candidate"] = version.version

    def missing(self, versions: Sequence[ModelVersion]) -> Sequence[ModelVersion]:
        return [v for v in versions if v.version not in self.registered]

    def mirror(self, model_type: ModelType, *, champion: str, previous: str | None, since: datetime) -> None:
        named = {champion, previous}
        self.promoted_at[champion] = since.timestamp()
        kept = {k: v for k, v in self.aliases.get(model_type, {}).items() if k == "candidate" and v not in named}
        self.aliases[model_type] = {**kept, "champion": champion} | ({"previous": previous} if previous else {})
