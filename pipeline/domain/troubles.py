"""What keeps a part of the loop from working, from the first fault to the first success, and when people hear of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

REMIND_AFTER = timedelta(hours=12)
"""Told at night and not seen, it is told again in the morning; told at every look, nobody would read it."""

_MAX_CHARACTERS = 1000


@dataclass(frozen=True)
class Place:
    """A step of a DAG, whatever run it is seen in, or the DAG itself, which may be paused."""

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

    def in_short(self) -> str:
        """The reason as a database can keep it."""
        return self.reason.replace("\x00", " ")[:_MAX_CHARACTERS]


@dataclass(frozen=True)
class Trouble:
    """A place that does not work since `since`; there is one at a time. `part` is the copy that failed first."""

    place: Place
    part: int
    since: datetime
    told_at: datetime
    ended_at: datetime | None = None

    @property
    def id(self) -> str:
        where = self.place.dag_id if self.place.step is None else f"{self.place.dag_id}.{self.place.step}"
        return f"{where}:{self.since.isoformat()}"

    def __str__(self) -> str:
        what = "is paused" if self.place.step is None else f"fails at {self.place.step}"
        return f"{self.place.dag_id} {what} since {self.since:%Y-%m-%d %H:%M} UTC"

    def reminded(self, now: datetime) -> "Trouble | None":
        """The trouble once people are told again; None while they were told a short time ago."""
        return replace(self, told_at=now) if now - self.told_at >= REMIND_AFTER else None

    def ended(self, part: int, now: datetime) -> "Trouble | None":
        """Over, once the copy that failed first works; that another one works says nothing of it."""
        return replace(self, ended_at=now) if part == self.part else None
