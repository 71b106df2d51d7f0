"""Table `outbox`: events committed together with what caused them (design D9)."""

import json
from collections.abc import Sequence

from psycopg2.extensions import cursor as Cursor

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.model_events import OutgoingEvent


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


def insert_event(cursor: Cursor, event: OutgoingEvent) -> None:
    """Within the caller's transaction; the same event id again changes nothing."""
    cursor.execute(
        "INSERT INTO outbox (id, type, payload) VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (event.id, event.type, json.dumps(dict(event.payload), ensure_ascii=False)),
    )
