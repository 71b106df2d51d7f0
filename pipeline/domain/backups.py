"""Backups of the databases: copies of the whole cluster, and the write-ahead log for any moment after a copy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pipeline.domain.bounds import PositiveSeconds, Range
from pipeline.domain.errors import GiveUp

# A file of the log has 16 MB, and 256 of them make a "log": PostgreSQL's defaults, without --wal-segsize.
_SEGMENT_BYTES, _SEGMENTS_A_LOG = 16 * 1024**2, 256
_FILE = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")


@dataclass(frozen=True)
class BackupPolicy:
    """How long backups are kept, and how long a command waits for the log."""

    keep_days: Annotated[float, Range(at_least=1, at_most=3650)] = 30.0
    """For how many days back the databases can be restored to any moment."""
    wait_seconds: PositiveSeconds = 180.0
    """Seconds that a command waits for the log of a given moment to reach the archive."""


class Safeguard(StrEnum):
    """What has to succeed regularly, so that losing the databases loses no data."""

    BASE = "base"
    LOG = "log"
    RESTORE_TEST = "restore_test"


@dataclass(frozen=True, order=True)
class Segment:
    """One file of the write-ahead log; `number` goes on across timelines. Each restore begins a new timeline."""

    number: int
    timeline: int

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """None for a file that is no segment, such as the history of a timeline."""
        if (found := _FILE.fullmatch(name)) is None:
            return None
        timeline, log, segment = (int(part, 16) for part in found.groups())
        return cls(log * _SEGMENTS_A_LOG + segment, timeline)

    @classmethod
    def of_position(cls, position: str, timeline: int) -> Self:
        """The segment in which a position such as `0/3000028` lies."""
        high, low = (int(part, 16) for part in position.split("/"))
        return cls((high * 2**32 + low) // _SEGMENT_BYTES, timeline)

    def __str__(self) -> str:
        log, segment = divmod(self.number, _SEGMENTS_A_LOG)
        return f"{self.timeline:08X}{log:08X}{segment:08X}"


@dataclass(frozen=True)
class Base:
    """A complete copy of the cluster; it needs the log from `begins` on, and is consistent from `whole_at` on."""

    name: str
    begins: Segment
    whole_at: datetime
    bytes: int


@dataclass(frozen=True)
class Needless:
    """What no restore would read that is still promised."""

    bases: tuple[Base, ...]
    log: tuple[str, ...]


@dataclass(frozen=True)
class Archive:
    """All that a restore can start from: complete copies, and the names of the log's files."""

    bases: tuple[Base, ...]
    log: tuple[str, ...]

    def base_for(self, at: datetime) -> Base:
        """The newest copy that was whole by then. Raises `GiveUp`, also when the log after it has a hole."""
        found = max((base for base in self.bases if base.whole_at <= at), key=_age, default=None)
        if found is None:
            oldest = min((base.whole_at for base in self.bases), default=None)
            how_far = f"the oldest is of {oldest.isoformat(timespec='seconds')}" if oldest else "there is none"
            raise GiveUp(f"no backup reaches {at.isoformat(timespec='seconds')}: {how_far}")
        if found.begins.number not in self._numbers():
            raise GiveUp(f"the backup {found.name} is of no use: the log it begins with, {found.begins}, is missing")
        return found

    def log_for(self, base: Base) -> tuple[str, ...]:
        """The log's files to read after the copy, up to the first gap, and the histories of timelines."""
        last = self._unbroken_until(base.begins.number)
        return tuple(
            name for name in self.log if (s := Segment.parse(name)) is None or base.begins.number <= s.number <= last
        )

    def holes(self) -> tuple[str, ...]:
        """Sentences: where the log since the oldest copy has gaps. After a gap only a later copy helps."""
        numbers = sorted(self._numbers())
        start = min((base.begins.number for base in self.bases), default=0)
        known = [number for number in numbers if number >= start]
        pairs = zip(known, known[1:], strict=False)
        return tuple(
            f"the log lacks {after - before - 1} files after number {before}"
            for before, after in pairs
            if after > before + 1
        )

    def needless(self, now: datetime, policy: BackupPolicy) -> Needless:
        """What stays is the copy from which the first promised moment is restored, and all that came after it."""
        horizon = now - timedelta(days=policy.keep_days)
        older = sorted((base for base in self.bases if base.whole_at <= horizon), key=_age)
        if not older:
            return Needless((), ())
        first = older[-1].begins.number
        segments = ((name, Segment.parse(name)) for name in self.log)
        return Needless(tuple(older[:-1]), tuple(name for name, s in segments if s is not None and s.number < first))

    def _numbers(self) -> set[int]:
        return {s.number for name in self.log if (s := Segment.parse(name)) is not None}

    def _unbroken_until(self, first: int) -> int:
        numbers = self._numbers()
        last = first
        while last + 1 in numbers:
            last += 1
        return last


def _age(base: Base) -> tuple[datetime, int]:
    """Of two that were whole at the same moment the later one is that which begins later in the log."""
    return base.whole_at, base.begins.number


@dataclass(frozen=True)
class Counted:
    """How many rows a table had at one moment; rows are only ever added to it."""

    table: str
    rows: int
    digest: str


def lost(live: Sequence[Counted], restored: Sequence[Counted]) -> tuple[str, ...]:
    """Sentences: tables whose rows up to that moment are not the same in both."""
    found = {one.table: one for one in restored}
    return tuple(
        f"table {one.table} has {found[one.table].rows if one.table in found else 'no'} rows restored, {one.rows} live"
        if one.table not in found or found[one.table].rows != one.rows
        else f"table {one.table} has other rows restored than live"
        for one in live
        if found.get(one.table) != one
    )
