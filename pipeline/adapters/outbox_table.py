"""Table `outbox`: events committed together with what caused them (design D9)."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from psycopg2.extensions import cursor as Cursor

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.outgoing_events import OutgoingEvent

# Only one task at a time sends notices: two at once would both send the same.
_TELLING_LOCK = 7_240_011


class OutboxTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def pending(self) -> Sequence[OutgoingEvent]:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT id, type, payload FROM outbox WHERE published_at IS NULL ORDER BY position")
            return [OutgoingEvent(*row) for row in cursor.fetchall()]

    def add(self, event: OutgoingEvent) -> None:
        with self._database.transaction() as cursor:
            insert_event(cursor, event)

    def mark_published(self, event_id: str) -> None:
        with self._database.transaction() as cursor:
            cursor.execute("UPDATE outbox SET published_at = now() WHERE id = %s", (event_id,))

    def untold(self) -> Sequence[OutgoingEvent]:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT id, type, payload FROM outbox WHERE told_at IS NULL ORDER BY position")
            return [OutgoingEvent(*row) for row in cursor.fetchall()]

    def mark_told(self, event_id: str) -> None:
        with self._database.transaction() as cursor:
            cursor.execute("UPDATE outbox SET told_at = now() WHERE id = %s", (event_id,))

    @contextmanager
    def telling(self) -> Iterator[bool]:
        with self._database.connection() as connection:
            # The lock ends with the session, so a killed process never keeps it.
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", (_TELLING_LOCK,))
                mine = cursor.fetchone() == (True,)
            yield mine

    def forget(self, *, before: datetime, dry_run: bool) -> int:
        over = "published_at < %s AND told_at IS NOT NULL"
        return self._database.deleted("outbox", over, (before,), dry_run=dry_run)


def insert_event(cursor: Cursor, event: OutgoingEvent) -> None:
    """Within the caller's transaction; the same event id again changes nothing."""
    cursor.execute(
        "INSERT INTO outbox (id, type, payload) VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (event.id, event.type, json.dumps(dict(event.payload), ensure_ascii=False)),
    )
