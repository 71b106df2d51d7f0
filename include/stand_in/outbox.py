"""Events that were committed with their cause and wait to be published (design D9)."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import Json

from include.contract.tracing import traceparent
from include.stand_in.database import Database


class Outbox:
    """Table `outbox` of a service's own database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unpublished(self, limit: int) -> list[tuple[str, dict[str, Any], str | None]]:
        """Event ids, payloads and their traces, oldest first."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT id, payload, traceparent FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT %s",
                (limit,),
            )
            return cursor.fetchall()

    def mark_published(self, event_ids: list[str]) -> None:
        with self._database.transaction() as cursor:
            cursor.execute("UPDATE outbox SET published_at = now() WHERE id = ANY(%s)", (event_ids,))


def add_event(cursor: Cursor, payload: Mapping[str, Any]) -> None:
    """Within the transaction of its cause, in the caller's trace."""
    values = (str(uuid.uuid4()), Json(dict(payload), _dumps), traceparent())
    cursor.execute("INSERT INTO outbox (id, payload, traceparent) VALUES (%s, %s, %s)", values)


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
