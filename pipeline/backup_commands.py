"""Commands about backups of the databases: make one, list them, keep the log coming, restore, try it."""

import signal
import sys
import threading
from datetime import datetime
from pathlib import Path

import click

from pipeline.bootstrap import Pipeline
from pipeline.people_commands import show


class _Moment(click.ParamType):
    name = "moment"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value} is no moment such as 2026-05-04T12:00:00+09:00", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value} does not say in which time zone: add Z, or such as +09:00", param, ctx)
        return moment


_at = click.option("--at", type=_Moment(), required=True, help="The moment, such as 2026-05-04T12:00:00+09:00.")


@click.group()
def backups() -> None:
    """Copies of every database, and any moment of the last days."""


@backups.command("make")
def make() -> None:
    """Copy every database now, and throw away what is too old."""
    show(Pipeline.from_env().back_up())


@backups.command("list")
def list_backups() -> None:
    """What there is to restore from."""
    show(Pipeline.from_env().backups())


@backups.command("receive-log")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def receive_log(folder: Path) -> None:
    """Bring the log of the databases to the archive as it is written, until the process is ended."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    Pipeline.from_env().receive_log(folder, stop)


@backups.command("restore")
@_at
@click.option("--into", type=click.Path(path_type=Path), required=True, help="A folder that is not there yet.")
def restore(at: datetime, into: Path) -> None:
    """Write the data folder of PostgreSQL as it was at a moment; what runs is not touched."""
    show(Pipeline.from_env().restore_databases(at, into))


@backups.command("erase-again")
def erase_again() -> None:
    """Erase in the database of the settings what was ever erased: for one that came back by `open` or otherwise."""
    show(Pipeline.from_env().erase_again())


@backups.command("open")
@_at
def open_backup(at: datetime) -> None:
    """Every database as it was at a moment, beside those that run, for pg_dump and psql; until Enter is pressed."""
    pipeline = Pipeline.from_env()
    with pipeline.rebuilt_databases(at) as cluster:
        show({"as_of": at.isoformat(), "mlops": cluster.dsn("mlops"), "helper": cluster.dsn("helper")})
        sys.stdin.readline()


@backups.command("test")
def test_restore() -> None:
    """Restore everything as it is now, beside what runs, and compare."""
    show(Pipeline.from_env().test_restore())


BACKUP_COMMANDS = (backups,)
