"""Connections to the application's own database; every table adapter uses one of these."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg2
import stamina
from psycopg2.errors import InsufficientPrivilege, UndefinedColumn, UndefinedTable
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from include.contract.heard import STATEMENT_SECONDS, HeardConnection, heard
from pipeline.domain.errors import ServiceRefused, ServiceTooSlow, ServiceUnavailable

# Classes of SQLSTATE: the database, or what it runs on, is not as it has to be, whatever is asked of it. Connection,
# transaction and its state, login, names and rights, resources, locks, operators, system, configuration.
_NOT_READY = tuple(
    ["08", "0A", "25", "26", "28", "2D", "3D", "3F", "40", "42", "53", "55", "57", "58", "F0", "XX001", "XX002"]
)
_CANCELLED = "57014"
_CONNECT_SECONDS = 5
_DELETED_AT_ONCE = 5_000


class MlopsDatabase:
    """Short-lived connections: steps are minutes apart, and a broken connection must not outlive its step."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """One transaction, committed at the end. Raises `ServiceUnavailable` when the database is gone or cannot work;
        what it says of the values that it was given stays an error of psycopg2.
        """
        with self.connection() as connection, connection, connection.cursor() as cursor:
            yield cursor

    def deleted(self, table: str, old: str, values: tuple[object, ...], *, dry_run: bool) -> int:
        """Delete the rows for which `old` holds, or only count them; how many.

        Some at a time, each time committed: a statement about years of rows would be given up, and nothing gone.
        """
        if dry_run:
            with self.transaction() as cursor:
                cursor.execute(f"SELECT count(*) FROM {table} WHERE {old}", values)
                return sum(int(counted) for (counted,) in cursor.fetchall())
        some = f"SELECT ctid FROM {table} WHERE {old} LIMIT {_DELETED_AT_ONCE}"
        gone = 0
        while now := self._changed(f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({some}))", values):
            gone += now
        return gone

    def _changed(self, statement: str, values: tuple[object, ...]) -> int:
        with self.transaction() as cursor:
            cursor.execute(statement, values)
            return int(cursor.rowcount)

    @contextmanager
    def connection(self) -> Iterator[HeardConnection]:
        """A connection of its own, closed at the end; session-level locks end with it."""
        connection = connect(self._dsn, "the mlops database")
        try:
            yield connection
        except psycopg2.Error as error:
            if not not_ready(error):
                raise
            raise unavailable("the mlops database", error) from error
        finally:
            connection.close()


class OneMoment(MlopsDatabase):
    """A read-only view: inside `held`, all answers are from one moment, nothing can be written, and a query that takes
    too long is given up.
    """

    def __init__(self, dsn: str, *, statement_timeout_ms: int) -> None:
        super().__init__(dsn)
        self._statement_seconds = statement_timeout_ms / 1000
        self._open: Connection | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises `ServiceUnavailable` like `transaction`."""
        opened = connect(self._dsn, "the mlops database", statement_seconds=self._statement_seconds)
        try:
            opened.set_session(isolation_level="REPEATABLE READ", readonly=True)
            self._open = opened
            yield
        finally:
            self._open = None
            opened.close()

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        assert self._open is not None, "only inside `held`"
        try:
            with self._open.cursor() as cursor:
                yield cursor
        except psycopg2.Error as error:
            if not not_ready(error):
                raise
            raise unavailable("the mlops database", error) from error


def not_ready(error: psycopg2.Error) -> bool:
    """Whether the error is about the database and not about the statement; without a SQLSTATE the connection broke."""
    if error.pgcode is None:
        return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    return error.pgcode.startswith(_NOT_READY)


def unavailable(name: str, error: psycopg2.Error) -> ServiceUnavailable:
    """The error to raise when the statement is not to blame: too slow, or unavailable."""
    sentence = " ".join(str(error).split()) or type(error).__name__
    kind = ServiceTooSlow if error.pgcode == _CANCELLED else ServiceUnavailable
    return kind(name, sentence)


def connect(dsn: str, name: str, *, statement_seconds: float = STATEMENT_SECONDS, options: str = "") -> HeardConnection:
    """Connect, trying again for a few seconds. Raises `ServiceUnavailable` naming the database, never the password."""
    try:
        for attempt in stamina.retry_context(on=_may_pass, attempts=4, timeout=timedelta(seconds=15)):
            with attempt:
                return heard(
                    dsn, connect_seconds=_CONNECT_SECONDS, statement_seconds=statement_seconds, options=options
                )
    except psycopg2.OperationalError as error:
        raise unavailable(name, error) from error
    raise AssertionError("the retry context returns or raises")


@contextmanager
def read_only(dsn: str, name: str) -> Iterator[Connection]:
    """A connection to somebody else's database, called `name`, in which nothing can be written.

    Raises `ServiceUnavailable` when it breaks, `ServiceRefused` where schema or rights are not those of this release.
    """
    connection = connect(dsn, name, options="-c default_transaction_read_only=on")
    try:
        yield connection
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise unavailable(name, error) from error
    except (UndefinedColumn, UndefinedTable) as error:
        told = f"{_sentence(error)}; apply the migrations of its owner that this release needs (runbook, Upgrading)"
        raise ServiceRefused(name, told) from error
    except InsufficientPrivilege as error:
        told = f"{_sentence(error)}; give the role that reads it `GRANT SELECT` on that, as its migrations say"
        raise ServiceRefused(name, told) from error
    finally:
        connection.close()


def _sentence(error: psycopg2.Error) -> str:
    """What the server says, without where in the query it is."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _may_pass(error: Exception) -> bool:
    return isinstance(error, psycopg2.OperationalError) and "authentication failed" not in str(error)
