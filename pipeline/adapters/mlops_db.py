"""Connections to the application's own database; every table adapter uses one of these."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg2
import stamina
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from pipeline.domain.errors import ServiceUnavailable

_CONNECT_SECONDS = 5
_STATEMENT_TIMEOUT_MS = 60_000


class MlopsDatabase:
    """Short-lived connections: steps are minutes apart, and a broken connection must not outlive its step."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """One transaction, committed at the end. Raises `ServiceUnavailable` when the database is gone."""
        with self.connection() as connection, connection, connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of its own, closed at the end; session-level locks end with it."""
        connection = connect(self._dsn, "the mlops database")
        try:
            yield connection
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise ServiceUnavailable("the mlops database", _sentence(error)) from error
        finally:
            connection.close()


def connect(dsn: str, name: str, *, options: str = "") -> Connection:
    """Connect, trying again for a few seconds. Raises `ServiceUnavailable` naming the database, never the password."""
    flags = f"-c statement_timeout={_STATEMENT_TIMEOUT_MS} {options}"
    try:
        for attempt in stamina.retry_context(on=_may_pass, attempts=4, timeout=timedelta(seconds=15)):
            with attempt:
                return psycopg2.connect(dsn, connect_timeout=_CONNECT_SECONDS, options=flags)
    except psycopg2.OperationalError as error:
        raise ServiceUnavailable(name, _sentence(error)) from error
    raise AssertionError("the retry context returns or raises")


def _may_pass(error: Exception) -> bool:
    return isinstance(error, psycopg2.OperationalError) and "authentication failed" not in str(error)


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
