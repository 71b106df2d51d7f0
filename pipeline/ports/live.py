"""Live accuracy, the monitor's readings, and the archive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.domain.history import History
from pipeline.domain.live_accuracy import LabelTally, Observation, Period, Reading, Tally
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import OutgoingEvent


class LiveMetrics(Protocol):
    """Confirmations joined to the version that gave the verdict: the event's, else the one that served then.

    The last word on a task counts, and a photo counts once for a version, however often it was confirmed.
    """

    def tally(self, history: History, version: str, period: Period) -> Tally:
        """All confirmations of one version."""

    def newest(self, history: History, version: str, period: Period, count: int) -> Tally:
        """The newest `count` of those."""

    def blind(self, history: History, version: str, period: Period) -> Tally:
        """Those whose reviewer did not see the verdict."""

    def by_version(self, history: History, period: Period) -> Mapping[str, Sequence[LabelTally]]:
        """All confirmations of each version that served; of the others, of those that most were given of."""


class Evidence(Protocol):
    """Which confirmations show the same photo; until somebody looked, a photo is identified by its address."""

    def unseen(self, period: Period, *, limit: int) -> Sequence[str]:
        """Addresses of photos that nobody looked at, of confirmations that count, newest first, each once."""

    def waiting(self, period: Period) -> int:
        """How many of those there are."""

    def founders(self, period: Period) -> Sequence[int]:
        """Perceptual hashes that founded the clusters of the period's confirmations, oldest first."""

    def recognise(self, clusters: Mapping[str, str]) -> None:
        """Keep the cluster of each address; from now on one photo of a cluster counts for each version."""


@dataclass(frozen=True)
class Episode:
    """From the alert to the recovery, or to another champion."""

    id: str
    version: str


@dataclass(frozen=True)
class Look:
    """One look of the monitor: `versions` in the window as of `LiveMetrics`, for people; `decision` a sentence."""

    model_type: ModelType
    at: datetime
    seen: Observation
    reading: Reading
    versions: Mapping[str, Sequence[LabelTally]]
    decision: str


class Episodes(Protocol):
    """Which alert is open; at most one for each model type."""

    def open_episode(self, model_type: ModelType) -> Episode | None: ...

    def begin_episode(self, model_type: ModelType, episode: Episode, event: OutgoingEvent, *, at: datetime) -> None:
        """Keep it with its event, in one transaction; a second time changes nothing."""

    def end_episode(self, episode: Episode, ended_by: str, event: OutgoingEvent | None, *, at: datetime) -> None: ...


class LiveReadings(Episodes, Protocol):
    """What the monitor saw, and which alert is open."""

    def record(self, look: Look) -> None: ...

    def forget(self, model_type: ModelType, *, before: datetime, dry_run: bool) -> int:
        """Delete what was seen before that moment, or only count it; how many readings."""


class ArchiveStore(Protocol):
    """Cold storage of model files, by `s3://bucket/key`."""

    def keep(self, uri: str, body: bytes) -> None:
        """Write, read back, compare, and only then hand over to Glacier. Raises `ServiceUnavailable`."""

    def fetch(self, uri: str) -> bytes:
        """Raises `ArchiveDamaged` when there is none, `StillFrozen` when it has to be thawed first."""
