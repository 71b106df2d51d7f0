"""A lock that one process has at a time, and that ends with it."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import cursor as Cursor

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.errors import RunBusy

# A machine that vanishes closes no connection: with these settings the server notices within a minute and frees its
# locks.
_NOTICE_A_LOST_CLIENT = (
    "SET tcp_keepalives_idle = 20",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 4",
)


@contextmanager
def exclusive(database: MlopsDatabase, name: str, busy: str) -> Iterator[Cursor]:
    """A session that has the lock `name`. Raises `RunBusy(busy)` while another process has it, `ServiceUnavailable`."""
    with database.connection() as connection:
        # The lock ends with the session, so a killed process never keeps it.
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in _NOTICE_A_LOST_CLIENT:
                cursor.execute(statement)
            cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (name,))
            if cursor.fetchone() != (True,):
                raise RunBusy(busy)
            yield cursor
