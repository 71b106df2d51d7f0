"""Table `troubles`: which steps of Airflow do not work, and since when."""

from collections.abc import Sequence

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.outbox_table import insert_event
from pipeline.domain.model_events import OutgoingEvent
from pipeline.domain.troubles import Place, Trouble

_OPEN = "SELECT dag_id, step, part, since, told_at FROM troubles WHERE ended_at IS NULL"


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

    def keep(self, trouble: Trouble, event: OutgoingEvent) -> None:
        place = trouble.place
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO troubles (id, dag_id, step, part, since, told_at) VALUES (%s, %s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (trouble.id, place.dag_id, place.step, trouble.part, trouble.since, trouble.told_at),
            )
            cursor.execute(
                "UPDATE troubles SET told_at = %s, ended_at = %s WHERE id = %s AND ended_at IS NULL",
                (trouble.told_at, trouble.ended_at, trouble.id),
            )
            if cursor.rowcount:
                insert_event(cursor, event)


def _trouble(dag_id: str, step: str | None, *more: object) -> Trouble:
    return Trouble(Place(dag_id, step), *more)  # type: ignore[arg-type]
