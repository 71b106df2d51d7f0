"""A database as it is at one moment, for reading: answers from several tables fit together."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from include.contract.heard import heard
from pipeline.adapters.mlops_db import MlopsDatabase, not_ready, unavailable

# Watchers ask again in a few seconds: a slow answer is useless, and must not hold up anybody else.
_CONNECT_SECONDS = 2
_STATEMENT_SECONDS = 3.0


class Snapshot(MlopsDatabase):
    """Table adapters that are given this all read in one transaction, which cannot write."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        with self._connection.cursor() as cursor:
            yield cursor


@contextmanager
def snapshot(dsn: str, name: str = "the mlops database") -> Iterator[Snapshot]:
    """Connects once, without trying again. Raises `ServiceUnavailable` when the database is gone, cannot work, or is
    slow.
    """
    try:
        with closing(heard(dsn, connect_seconds=_CONNECT_SECONDS, statement_seconds=_STATEMENT_SECONDS)) as connection:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            yield Snapshot(connection)
    except psycopg2.Error as error:
        if not not_ready(error):
            raise
        raise unavailable(name, error) from error
