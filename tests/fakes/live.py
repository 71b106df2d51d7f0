"""Live metrics over the fake confirmations, readings and episodes, the archive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.domain.errors import ArchiveDamaged
from pipeline.domain.events import TaskConfirmedEvent
from pipeline.domain.live_accuracy import LabelTally, Observation, Reading, Tally
from pipeline.domain.model_events import OutgoingEvent
from pipeline.domain.models import ModelType
from pipeline.ports.live import Episode
from tests.fakes.deployment import FakeTransitions
from tests.fakes.events import FakeConfirmations, FakeOutbox


@dataclass
class FakeLiveMetrics:
    confirmations: FakeConfirmations
    transitions: FakeTransitions

    def tally(self, model_type: ModelType, version: str, *, since: datetime, until: datetime) -> Tally:
        return _tally(self._of(model_type, version, since, until))

    def newest(self, model_type: ModelType, version: str, count: int, *, since: datetime, until: datetime) -> Tally:
        found = sorted(self._of(model_type, version, since, until), key=lambda e: e.confirmed_at, reverse=True)
        return _tally(found[:count])

    def blind(self, model_type: ModelType, version: str, *, since: datetime, until: datetime) -> Tally:
        found = self._of(model_type, version, since, until)
        return _tally([e for e in found if e.extra.get("blindAudit") is True])

    def by_version(self, model_type: ModelType, *, since: datetime, until: datetime) -> Mapping[str, Tally]:
        events = self.confirmations.stored.values() if model_type is ModelType.LAUNDRY else ()
        named = {version for e in events if since < e.confirmed_at <= until and (version := self._version(e))}
        return {v: self.tally(model_type, v, since=since, until=until) for v in sorted(named)}

    def _of(self, model_type: ModelType, version: str, since: datetime, until: datetime) -> list[TaskConfirmedEvent]:
        if model_type is not ModelType.LAUNDRY:
            return []
        events = self.confirmations.stored.values()
        return [e for e in events if since < e.confirmed_at <= until and self._version(e) == version]

    def _version(self, event: TaskConfirmedEvent) -> str | None:
        if event.model_version is not None:
            return event.model_version
        served = self.transitions.served(ModelType.LAUNDRY)
        then = [t for t in served if t.confirmed_served_at and t.confirmed_served_at <= event.confirmed_at]
        return then[-1].to_version if then else None


def _tally(events: Sequence[TaskConfirmedEvent]) -> Tally:
    labels = sorted({e.final_result for e in events})
    return Tally(
        tuple(
            LabelTally(
                label,
                sum(e.final_result == label for e in events),
                sum(e.final_result == label and not e.corrected for e in events),
            )
            for label in labels
        ),
        max((e.confirmed_at for e in events), default=None),
    )


@dataclass
class FakeReadings:
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    recorded: list[tuple[Reading, str]] = field(default_factory=list)
    episodes: dict[str, tuple[ModelType, Episode, str | None]] = field(default_factory=dict)

    def record(
        self,
        model_type: ModelType,
        reading: Reading,
        seen: Observation,
        *,
        versions: Mapping[str, Tally],
        decision: str,
        at: datetime,
    ) -> None:
        self.recorded.append((reading, decision))

    def open_episode(self, model_type: ModelType) -> Episode | None:
        return next((e for kind, e, ended in self.episodes.values() if kind is model_type and ended is None), None)

    def begin_episode(self, model_type: ModelType, episode: Episode, event: OutgoingEvent, *, at: datetime) -> None:
        if self.open_episode(model_type) is None and episode.id not in self.episodes:
            self.episodes[episode.id] = (model_type, episode, None)
            self.outbox.add(event)

    def end_episode(self, episode: Episode, ended_by: str, event: OutgoingEvent | None, *, at: datetime) -> None:
        model_type, kept, ended = self.episodes[episode.id]
        if ended is None:
            self.episodes[episode.id] = (model_type, kept, ended_by)
            if event is not None:
                self.outbox.add(event)


@dataclass
class FakeArchive:
    objects: dict[str, bytes] = field(default_factory=dict)

    def keep(self, uri: str, body: bytes) -> None:
        self.objects[uri] = body

    def fetch(self, uri: str) -> bytes:
        if uri not in self.objects:
            raise ArchiveDamaged(f"the archive has no {uri}")
        return self.objects[uri]
