"""Table `troubles`: which steps of Airflow do not work, and since when."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.outbox_table import insert_event
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.troubles import Place, Trouble

_OPEN = "SELECT dag_id, step, since, failed_at, parts, told, worked_at FROM troubles WHERE ended_at IS NULL"


class TroubleTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def open(self) -> Sequence[Trouble]:
        with self._database.transaction() as cursor:
            cursor.execute(f"{_OPEN} ORDER BY since, id")
            return [_trouble(*row) for row in cursor.fetchall()]

    def at(self, place: Place) -> Trouble | None:
        with self._database.transaction() as cursor:
            cursor.execute(f"{_OPEN} AND dag_id = %s AND step IS NOT DISTINCT FROM %s", (place.dag_id, place.step))
            row = cursor.fetchone()
        return _trouble(*row) if row else None

    def keep(self, trouble: Trouble, event: OutgoingEvent | None) -> None:
        place = trouble.place
        told = json.dumps({kind: at.isoformat() for kind, at in trouble.told.items()})
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO troubles (id, dag_id, step, since, failed_at) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (trouble.id, place.dag_id, place.step, trouble.since, trouble.failed_at),
            )
            cursor.execute(
                "UPDATE troubles SET failed_at = %s, parts = %s::integer[], told = %s, worked_at = %s, ended_at = %s"
                " WHERE id = %s AND ended_at IS NULL",
                (trouble.failed_at, sorted(trouble.parts), told, trouble.worked_at, trouble.ended_at, trouble.id),
            )
            if cursor.rowcount and event:
                insert_event(cursor, event)


def _trouble(*row: Any) -> Trouble:
    dag_id, step, since, failed_at, parts, told, worked_at = row
    heard = {kind: datetime.fromisoformat(at) for kind, at in told.items()}
    return Trouble(Place(dag_id, step), since, failed_at, frozenset(parts), heard, worked_at)
