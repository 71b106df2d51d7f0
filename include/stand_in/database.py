"""The Helper service's PostgreSQL: one transaction a call, on connections that are kept."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import cursor as Cursor
from psycopg2.pool import ThreadedConnectionPool

from include.contract.heard import STATEMENT_SECONDS, HeardConnection

_MOST_CONNECTIONS = 16


class Database:
    """Thread-safe. What cannot be reached raises psycopg2's `OperationalError`."""

    def __init__(self, dsn: str) -> None:
        patience = {"connect_timeout": 5, "options": f"-c statement_timeout={STATEMENT_SECONDS:.0f}s"}
        self._pool = ThreadedConnectionPool(1, _MOST_CONNECTIONS, dsn, connection_factory=HeardConnection, **patience)

    def close(self) -> None:
        self._pool.closeall()

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        connection = self._pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                yield cursor
        finally:
            # A connection that broke must not be handed out again.
            self._pool.putconn(connection, close=bool(connection.closed))
