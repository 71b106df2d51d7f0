"""What copies the databases, keeps the copies, and rebuilds a cluster of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pipeline.domain.backups import Archive, Base, Counted, Needless, Safeguard, Segment


class Stream(Protocol):
    """Bytes that arrive over the network. Raises `ServiceUnavailable` when they stop."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Copied:
    """From where a copy needs the log, since when it is consistent, and how many bytes were kept."""

    begins: Segment
    whole_at: datetime
    bytes: int


@dataclass(frozen=True)
class Mark:
    """A moment by the clock of the database that a restore can reach once `file` of the log is in the archive."""

    at: datetime
    file: str


class DatabaseCluster(Protocol):
    """The PostgreSQL server that is backed up. Raises `ServiceUnavailable`, and `GiveUp` where a right is missing."""

    def copy(self, keep: Callable[[Stream], int]) -> Copied:
        """Hands a gzipped tar of the whole cluster to `keep` while it is made, which says how many bytes it kept."""

    def mark(self) -> Mark:
        """Ends the file of the log that is written now."""


class BackupArchive(Protocol):
    """Object storage. A copy exists once its description is there; raises `ServiceUnavailable`."""

    def contents(self) -> Archive: ...

    def write_copy(self, name: str, stream: Stream) -> int:
        """Bytes written."""

    def finish(self, base: Base) -> None:
        """The copy is complete."""

    def read_copy(self, base: Base) -> AbstractContextManager[Stream]: ...

    def keep_log(self, path: Path) -> None: ...

    def has_log(self, file: str) -> bool: ...

    def fetch_log(self, files: Sequence[str], folder: Path) -> None:
        """As `<file>.gz` in the folder."""

    def forget(self, needless: Needless) -> None: ...


class LogReceiver(Protocol):
    """Fetches the log as it is written, into files that wait to be kept. Raises `ServiceUnavailable`."""

    def begin(self) -> None:
        """Starts where the log was kept last; existing files must have been handed on before."""

    def complete(self) -> Sequence[Path]:
        """Complete files, in order."""

    def demand_receiving(self) -> None:
        """Raises `ServiceUnavailable` when the server went away."""

    def end(self) -> None: ...


class Rebuilt(Protocol):
    """A cluster that answers on this machine only."""

    @property
    def release(self) -> str:
        """PostgreSQL's release, such as `15`."""

    def damage(self) -> str:
        """What is wrong with tables and indexes, every page checked; empty when nothing is."""

    def dsn(self, database: str) -> str:
        """As its superuser."""

    def bring_up_to_date(self, database: str) -> None:
        """Migrates its tables, which may be those of an earlier release."""

    def hand_over(self, into: Path) -> None:
        """Stop it, and move its data folder there."""


class ClusterBuilder(Protocol):
    def rebuild(self, copy: Stream, fetch_log: Callable[[Path], None], at: datetime) -> AbstractContextManager[Rebuilt]:
        """The cluster as it was at that moment; it is gone afterwards unless handed over. Raises `GiveUp`
        when the log does not reach so far, or the copy is damaged.
        """


class Safeguards(Protocol):
    """When what protects the data last succeeded."""

    def note(self, kind: Safeguard, at: datetime, detail: str) -> None:
        """The newest success counts."""

    def newest(self) -> dict[Safeguard, datetime]: ...

    def withdraw(self) -> None:
        """From now on nothing of this has to succeed."""


class GrowingTables(Protocol):
    """Tables of our own database that are only added to."""

    def counted(self, until: datetime) -> Sequence[Counted]:
        """By name; rows that came in up to that moment."""

    def counted_twice(self) -> Sequence[str]:
        """Sentences about what is counted more or less often than it is there (include/reliability.md, I2)."""
