"""Live metrics over the fake confirmations, readings and episodes, the archive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.domain.errors import ArchiveDamaged, StillFrozen
from pipeline.domain.events import TaskConfirmedEvent
from pipeline.domain.history import History
from pipeline.domain.live_accuracy import LabelTally, Period, Reading, Tally
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.ports.live import Episode, Look
from tests.fakes.events import FakeConfirmations, FakeOutbox


@dataclass
class FakeLiveMetrics:
    confirmations: FakeConfirmations

    def tally(self, history: History, version: str, period: Period) -> Tally:
        return _tally(self._of(history, version, period))

    def newest(self, history: History, version: str, period: Period, count: int) -> Tally:
        found = sorted(self._of(history, version, period), key=lambda e: e.confirmed_at, reverse=True)
        return _tally(found[:count])

    def blind(self, history: History, version: str, period: Period) -> Tally:
        return _tally([e for e in self._of(history, version, period) if e.extra.get("blindAudit") is True])

    def by_version(self, history: History, period: Period) -> Mapping[str, Sequence[LabelTally]]:
        named = {version for e in self._within(history, period) if (version := _version(history, e))}
        return {v: self.tally(history, v, period).labels for v in sorted(named)}

    def _of(self, history: History, version: str, period: Period) -> list[TaskConfirmedEvent]:
        return [e for e in self._within(history, period) if _version(history, e) == version]

    def _within(self, history: History, period: Period) -> list[TaskConfirmedEvent]:
        if history.model_type is not ModelType.LAUNDRY:
            return []
        return [e for e in self.confirmations.counting if period.since < e.confirmed_at <= period.until]


@dataclass
class FakeEvidence:
    confirmations: FakeConfirmations

    def unseen(self, period: Period, *, limit: int) -> Sequence[str]:
        return self._unseen(period)[:limit]

    def waiting(self, period: Period) -> int:
        return len(self._unseen(period))

    def _unseen(self, period: Period) -> list[str]:
        newest = reversed(self._within(period))
        return list(dict.fromkeys(e.photo_url for e in newest if e.photo_url not in self.confirmations.clusters))

    def founders(self, period: Period) -> Sequence[int]:
        seen = dict.fromkeys(self.confirmations.clusters.get(e.photo_url, "") for e in self._within(period))
        return [int(cluster, 16) for cluster in seen if cluster and not cluster.startswith("unread")]

    def recognise(self, clusters: Mapping[str, str]) -> None:
        self.confirmations.clusters |= clusters

    def _within(self, period: Period) -> list[TaskConfirmedEvent]:
        found = [e for e in self.confirmations.counting if period.since < e.confirmed_at <= period.until]
        return sorted(found, key=lambda e: e.confirmed_at)


def _version(history: History, event: TaskConfirmedEvent) -> str | None:
    if event.model_version is not None:
        return event.model_version
    then = [reign.version for reign in history.reigns if reign.since <= event.confirmed_at]
    return then[-1] if then else None


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
    looks: list[Look] = field(default_factory=list)
    episodes: dict[str, tuple[ModelType, Episode, str | None]] = field(default_factory=dict)

    def record(self, look: Look) -> None:
        self.looks.append(look)

    @property
    def recorded(self) -> Sequence[tuple[Reading, str]]:
        return [(look.reading, look.decision) for look in self.looks]

    def forget(self, model_type: ModelType, *, before: datetime, dry_run: bool) -> int:
        kept = [look for look in self.looks if look.model_type is not model_type or look.at >= before]
        forgotten = len(self.looks) - len(kept)
        if not dry_run:
            self.looks = kept
        return forgotten

    def open_episode(self, model_type: ModelType) -> Episode | None:
        return next((e for kind, e, ended in self.episodes.values() if kind is model_type and ended is None), None)

    def begin_episode(self, model_type: ModelType, episode: Episode, event: OutgoingEvent, *, at: datetime) -> None:
        assert at is not None, "null value in column began_at"
        if self.open_episode(model_type) is None and episode.id not in self.episodes:
            self.episodes[episode.id] = (model_type, episode, None)
            self.outbox.add(event)

    def end_episode(self, episode: Episode, ended_by: str, event: OutgoingEvent | None, *, at: datetime) -> None:
        assert at is not None, "null value in column ended_at"
        model_type, kept, ended = self.episodes[episode.id]
        if ended is None:
            self.episodes[episode.id] = (model_type, kept, ended_by)
            if event is not None:
                self.outbox.add(event)


@dataclass
class FakeArchive:
    """With `thaws_in_hours` what it holds is frozen, comes back so long after it was asked for, and stays a week."""

    objects: dict[str, bytes] = field(default_factory=dict)
    thaws_in_hours: float = 0.0
    hours: float = 0.0
    _asked: dict[str, float] = field(default_factory=dict)

    def keep(self, uri: str, body: bytes) -> None:
        self.objects[uri] = body
        self._asked.pop(uri, None)

    def fetch(self, uri: str) -> bytes:
        if uri not in self.objects:
            raise ArchiveDamaged(f"the archive has no {uri}")
        if self.thaws_in_hours and not self._is_thawed(uri):
            raise StillFrozen(f"Glacier is thawing {uri}")
        return self.objects[uri]

    def later(self, hours: float) -> None:
        self.hours += hours

    def _is_thawed(self, uri: str) -> bool:
        thawed = self._asked.setdefault(uri, self.hours) + self.thaws_in_hours
        if thawed + 7 * 24 <= self.hours:
            self._asked[uri] = self.hours
            return False
        return thawed <= self.hours
