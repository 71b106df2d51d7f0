"""What keeps a part of the loop from working, from the first fault to the first success, and when people hear of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256

REMIND_AFTER = timedelta(hours=12)
"""People who missed it at night hear of it in the morning; told at every look, nobody would read it."""

PATIENCE = timedelta(minutes=30)
"""What is seen for that long is a problem, and not a change of champion halfway or a broker that restarts."""

QUIET = timedelta(hours=1)
"""What has worked for that long works again; what fails every other time is one trouble, not many."""

MONITOR = "live_accuracy_monitor"
"""The DAG that looks at what serves, and at everything that fails silently."""

ON_DEMAND = frozenset({"model_decision", "model_promotion", "model_rollback"})
"""DAGs without a schedule: no run shows that a step works again before somebody asks for one."""

_MAX_CHARACTERS = 1000
# Where every failure gives another reason, at most this many are told within `REMIND_AFTER`.
_MAX_REASONS = 5
# Times, durations, ids and addresses, which differ from one failure to the next of the same kind.
_VARYING = re.compile(
    r"\bs3://[^\s'\"]+|\b\d\d:\d\d(:\d\d)?\b|(?<![\d.])\d+\.\d+(?![\d.])|\b(?=[0-9a-fx-]*\d)[0-9a-fx-]{6,}\b"
)


def in_short(reason: str) -> str:
    """The reason, short enough for the database."""
    return reason.replace("\x00", " ")[:_MAX_CHARACTERS]


def kind_of(reason: str) -> str:
    """The reason without what differs each time; people hear of a new kind at once."""
    return _VARYING.sub("…", in_short(reason))


@dataclass(frozen=True)
class Place:
    """A step of a DAG, in any of its runs; or the DAG itself, when it is paused."""

    dag_id: str
    step: str | None = None


@dataclass(frozen=True)
class Fault:
    """A step failed in one run and is not tried again. `part` numbers the copies of a step that runs several times in a
    run, -1 for one that does not. `advice` is a sentence: what to do. `link` shows its log.
    """

    place: Place
    part: int
    run_id: str
    reason: str
    advice: str
    link: str


@dataclass(frozen=True)
class Question:
    """What a run asks people; `link` shows where."""

    place: Place
    run_id: str
    text: str
    link: str

    @property
    def id(self) -> str:
        return f"{self.place.dag_id}.{self.place.step}:{self.run_id}"


@dataclass(frozen=True)
class Trouble:
    """A place that has not worked since `since`; each place has one at a time.

    `parts` are the copies that failed and did not work since; `told` says of each kind of reason when people last heard
    of it.
    """

    place: Place
    since: datetime
    failed_at: datetime
    parts: frozenset[int] = frozenset()
    told: Mapping[str, datetime] = field(default_factory=dict)
    worked_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def id(self) -> str:
        where = self.place.dag_id if self.place.step is None else f"{self.place.dag_id}.{self.place.step}"
        return f"{where}:{self.since.isoformat()}"

    def __str__(self) -> str:
        what = "is paused" if self.place.step is None else f"fails at {self.place.step}"
        works = f", but not since {self.worked_at:%H:%M}" if self.worked_at else ""
        return f"{self.place.dag_id} {what} since {self.since:%Y-%m-%d %H:%M} UTC{works}"

    def is_news(self, kind: str, now: datetime) -> bool:
        """Whether people did not hear of it a short time ago."""
        lately = self._told_lately(now)
        return kind not in lately and len(lately) < _MAX_REASONS

    def id_of_news(self, kind: str) -> str:
        """The same for everybody who saw the trouble at the same moment, so that it is told once; a new one after
        people were told.
        """
        last = max((at.isoformat() for at in self.told.values()), default="first")
        return f"{self.id}:{last}:{sha256(kind.encode()).hexdigest()[:8]}"

    def failed(self, part: int, kind: str, now: datetime) -> "Trouble":
        """The trouble after one more failure; people are told if it is news."""
        told = {**self._told_lately(now), kind: now} if self.is_news(kind, now) else self.told
        return replace(self, failed_at=now, parts=self.parts | {part}, told=told, worked_at=None)

    def worked(self, part: int, now: datetime) -> "Trouble | None":
        """After a success of the copy `part`; None when that says nothing of those that failed.

        A copy that has not failed for a long time while others ran no longer counts: the next dataset may have fewer
        slices.
        """
        left = self.parts - {part} if now - self.failed_at < REMIND_AFTER else frozenset()
        if self.worked_at or (left and left == self.parts):
            return None
        return replace(self, parts=left, worked_at=None if left else now)

    def lasts(self, now: datetime) -> bool:
        return now - self.since >= PATIENCE

    def is_over(self, now: datetime) -> bool:
        return self.worked_at is not None and now - self.worked_at >= QUIET

    def is_stale(self, now: datetime) -> bool:
        """Whether a step that runs on demand has not been asked for again for so long that its failure no longer
        matters.
        """
        on_demand = self.place.dag_id in ON_DEMAND and self.place.step is not None
        return on_demand and now - self.failed_at >= REMIND_AFTER

    def ended(self, now: datetime) -> "Trouble":
        return replace(self, ended_at=now)

    def _told_lately(self, now: datetime) -> dict[str, datetime]:
        return {kind: at for kind, at in self.told.items() if now - at < REMIND_AFTER}
