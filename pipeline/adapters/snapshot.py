"""The mlops database, or another one, as it is at one moment, for reading: what several tables say fits together."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from include.contract.heard import heard
from pipeline.adapters.mlops_db import MlopsDatabase, not_ready, unavailable

# Whoever watches asks again in a few seconds: an answer that takes long is none, and holds up nobody else.
_CONNECT_SECONDS = 2
_STATEMENT_SECONDS = 3.0


class Snapshot(MlopsDatabase):
    """Every table adapter that is given this reads in the one transaction, which can write nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        with self._connection.cursor() as cursor:
            yield cursor


@contextmanager
def snapshot(dsn: str, name: str = "the mlops database") -> Iterator[Snapshot]:
    """Asked once and not again. Raises `ServiceUnavailable` when the database is gone, cannot work, or is slow."""
    try:
        with closing(heard(dsn, connect_seconds=_CONNECT_SECONDS, statement_seconds=_STATEMENT_SECONDS)) as connection:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            yield Snapshot(connection)
    except psycopg2.Error as error:
        if not not_ready(error):
            raise
        raise unavailable(name, error) from error
