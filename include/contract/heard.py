"""Connections to PostgreSQL on which nobody waits for ever.

`statement_timeout` is kept by the server. One that is stopped, hung on its disk, or behind a wire that swallows what it
says keeps nothing, and libpq waits in C, where no alarm of Python reaches it: neither Airflow's time limit of a task
nor Ctrl-C. So the client ends such a connection itself, and the caller sees psycopg2's `OperationalError`.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2.extensions import connection, cursor

# Seconds that a statement may take unless somebody says otherwise.
STATEMENT_SECONDS = 60.0


class HeardConnection(connection):
    """Its server may be silent for a little longer than statements may take; `heard` makes one."""

    _silence_seconds = _usual_silence_seconds = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cursor_factory = _HeardCursor
        self.allow(STATEMENT_SECONDS)

    def commit(self) -> None:
        with self._last_of_its_transaction():
            super().commit()

    def rollback(self) -> None:
        with self._last_of_its_transaction():
            super().rollback()

    def allow(self, statement_seconds: float) -> None:
        """Statements from now on may take this long."""
        self.allow_until_the_end(statement_seconds)
        self._usual_silence_seconds = self._silence_seconds

    def allow_until_the_end(self, statement_seconds: float) -> None:
        """Statements from now on, in this transaction, may take this long."""
        # A working server ends what takes too long and says so; one that does not even do that counts as silent.
        self._silence_seconds = 1.25 * statement_seconds + 1.0

    @contextmanager
    def _last_of_its_transaction(self) -> Iterator[None]:
        try:
            with self.waiting():
                yield
        finally:
            self._silence_seconds = self._usual_silence_seconds

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For waiting on the server: the connection is ended when that lasts too long."""
        if self.closed:
            # What follows says so.
            yield
            return
        ending = _Ending(self.fileno())
        timer = threading.Timer(self._silence_seconds, ending.come)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            ending.no_more()


def heard(
    dsn: str, *, connect_seconds: int, statement_seconds: float = STATEMENT_SECONDS, options: str = ""
) -> HeardConnection:
    """Connect once. `options` are settings of the server, `-c name=value`. Raises psycopg2's errors."""
    flags = f"-c statement_timeout={round(statement_seconds * 1000)} {options}"
    made = psycopg2.connect(dsn, connection_factory=HeardConnection, connect_timeout=connect_seconds, options=flags)
    made.allow(statement_seconds)
    return made


def take_time(asking: cursor, statement_seconds: float) -> None:
    """What this transaction asks from now on may take so long; its connection is one of `heard`."""
    assert isinstance(asking.connection, HeardConnection)
    asking.execute("SET LOCAL statement_timeout = %s", (f"{round(statement_seconds)}s",))
    asking.connection.allow_until_the_end(statement_seconds)


class _HeardCursor(cursor):
    connection: HeardConnection

    def execute(self, *args: Any, **options: Any) -> None:
        with self.connection.waiting():
            super().execute(*args, **options)

    def executemany(self, *args: Any, **options: Any) -> None:
        with self.connection.waiting():
            super().executemany(*args, **options)


class _Ending:
    """Shuts a socket down, unless the wait is over: by then its number may belong to another socket."""

    def __init__(self, number: int) -> None:
        self._number, self._over, self._lock = number, False, threading.Lock()

    def come(self) -> None:
        with self._lock, suppress(OSError):
            if not self._over:
                # A duplicate number of the same socket, closed at once; the shutdown affects the socket itself.
                with socket.socket(fileno=os.dup(self._number)) as same:
                    same.shutdown(socket.SHUT_RDWR)

    def no_more(self) -> None:
        with self._lock:
            self._over = True
