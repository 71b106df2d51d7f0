"""Copies and log in memory, and a cluster that says what a test wants."""

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.domain.backups import Archive, Base, Counted, Needless, Safeguard, Segment
from pipeline.domain.errors import ServiceUnavailable
from pipeline.ports.backups import Copied, Mark, Stream
from tests.fakes.deployment import FakeTransitions, FakeVersions


@dataclass
class FakeSafeguards:
    noted: dict[Safeguard, datetime] = field(default_factory=dict)

    def note(self, kind: Safeguard, at: datetime, detail: str) -> None:
        self.noted[kind] = max(at, self.noted.get(kind, at))

    def newest(self) -> dict[Safeguard, datetime]:
        return dict(self.noted)

    def withdraw(self) -> None:
        self.noted.clear()


@dataclass
class FakeBackupArchive:
    copies: dict[str, bytes] = field(default_factory=dict)
    bases: dict[str, Base] = field(default_factory=dict)
    log: dict[str, bytes] = field(default_factory=dict)
    away: bool = False

    def contents(self) -> Archive:
        self._demand()
        return Archive(tuple(self.bases[name] for name in sorted(self.bases)), tuple(sorted(self.log)))

    def write_copy(self, name: str, stream: Stream) -> int:
        self._demand()
        self.copies[name] = stream.read()
        return len(self.copies[name])

    def finish(self, base: Base) -> None:
        self.bases[base.name] = base

    @contextmanager
    def read_copy(self, base: Base) -> Iterator[Stream]:
        self._demand()
        yield io.BytesIO(self.copies[base.name])

    def keep_log(self, path: Path) -> None:
        self._demand()
        self.log[path.name] = path.read_bytes()

    def has_log(self, file: str) -> bool:
        return file in self.log

    def fetch_log(self, files: Sequence[str], folder: Path) -> None:
        for file in files:
            (folder / f"{file}.gz").write_bytes(self.log[file])

    def forget(self, needless: Needless) -> None:
        for base in needless.bases:
            del self.bases[base.name], self.copies[base.name]
        for file in needless.log:
            del self.log[file]

    def _demand(self) -> None:
        if self.away:
            raise ServiceUnavailable("S3", "connection refused")


@dataclass
class FakeCluster:
    """Its log goes to `archive` as it is written, unless nobody receives it."""

    archive: FakeBackupArchive
    now: datetime
    number: int = 1
    received: bool = True
    breaks_off: bool = False

    def copy(self, keep: Callable[[Stream], int]) -> Copied:
        begins = Segment(self.number, 1)
        kept = keep(io.BytesIO(b"everything"))
        if self.breaks_off:
            raise ServiceUnavailable("the database that is backed up", "it went away")
        return Copied(begins, self.mark().at, kept)

    def mark(self) -> Mark:
        file = str(Segment(self.number, 1))
        self.number += 1
        self.now += timedelta(seconds=1)
        if self.received:
            self.archive.log[file] = b"log"
        return Mark(self.now, file)


@dataclass
class FakeRows:
    """Rows by table, each with its moment."""

    came: dict[str, list[tuple[str, datetime]]] = field(default_factory=dict)
    twice: tuple[str, ...] = ()

    def counted_twice(self) -> Sequence[str]:
        return self.twice

    def counted(self, until: datetime) -> Sequence[Counted]:
        said = {table: [row for row, at in rows if at <= until] for table, rows in sorted(self.came.items())}
        return [Counted(table, len(rows), "+".join(sorted(rows))) for table, rows in said.items()]


@dataclass
class FakeDatabase:
    """Records of one database, as `OfOneDatabase` has them."""

    tables: FakeRows = field(default_factory=FakeRows)
    versions: FakeVersions = field(default_factory=FakeVersions)
    transitions: FakeTransitions = field(default_factory=FakeTransitions)


@dataclass
class FakeBuilder:
    """What it rebuilds is `damaged` where a test says so."""

    damaged: str = ""
    asked: list[tuple[bytes, list[str], datetime]] = field(default_factory=list)
    release: str = "15"

    @contextmanager
    def rebuild(self, copy: Stream, fetch_log: Callable[[Path], None], at: datetime) -> Iterator["FakeBuilder"]:
        with tempfile.TemporaryDirectory() as folder:
            fetch_log(Path(folder))
            self.asked.append((copy.read(), sorted(path.stem for path in Path(folder).iterdir()), at))
            yield self

    def damage(self) -> str:
        return self.damaged

    def dsn(self, database: str) -> str:
        return f"dbname={database}"

    def hand_over(self, into: Path) -> None:
        into.mkdir()
