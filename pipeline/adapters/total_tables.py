"""Tables `confirmation_totals`, `prediction_totals` and `decision_totals`, which the database keeps itself, and newest
rows of others.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.figures.production import Confirmed, LookedAt, Predicted
from pipeline.domain.figures.retraining import Decided
from pipeline.domain.live_accuracy import State
from pipeline.domain.models import ModelType
from pipeline.ports.facts import Waiting

_LOOK = """
    SELECT version, at, state, confirmed, agreed, blind_confirmed, blind_agreed
    FROM live_accuracy_readings WHERE model_type = %s ORDER BY at DESC LIMIT 1"""
_LOOKS = """
    SELECT newest.* FROM unnest(%s::text[]) AS of (version) CROSS JOIN LATERAL (
        SELECT version, at, state, confirmed, agreed, blind_confirmed, blind_agreed FROM live_accuracy_readings
        WHERE model_type = %s AND version = of.version ORDER BY at DESC LIMIT 1) AS newest
    ORDER BY version"""
_WAITING = """
    SELECT (SELECT count(*) FROM outbox WHERE published_at IS NULL),
        COALESCE(extract(epoch FROM now() - (
            SELECT created_at FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT 1)), 0),
        COALESCE(extract(epoch FROM now() - (
            SELECT created_at FROM outbox WHERE told_at IS NULL ORDER BY position LIMIT 1)), 0)"""


class TotalTables:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def confirmed(self) -> Sequence[Confirmed]:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT model_version, final_result, corrected, stored, reviews_timed, review_seconds"
                " FROM confirmation_totals"
            )
            return [Confirmed(*row) for row in cursor.fetchall()]

    def predicted(self, versions: Collection[str]) -> Sequence[Predicted]:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT model_version, branch, ai_result, stored, rated, confidence FROM prediction_totals"
                " WHERE model_version = ANY(%s) ORDER BY 1, 2, 3",
                (sorted(versions),),
            )
            return [Predicted(*row) for row in cursor.fetchall()]

    def decided(self, model_type: ModelType) -> Sequence[Decided]:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT rule, due, decided, newest FROM decision_totals WHERE model_type = %s ORDER BY rule, due",
                (model_type,),
            )
            return [Decided(*row) for row in cursor.fetchall()]

    def ended(self, model_type: ModelType) -> Sequence[str]:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT COALESCE(outcome, '') FROM retraining_runs WHERE model_type = %s AND ended_at IS NOT NULL"
                " ORDER BY ended_at DESC, run_id",
                (model_type,),
            )
            return [row[0] for row in cursor.fetchall()]

    def newest_look(self, model_type: ModelType) -> LookedAt | None:
        with self._database.transaction() as cursor:
            cursor.execute(_LOOK, (model_type,))
            row = cursor.fetchone()
        return _look(row) if row else None

    def looks(self, model_type: ModelType, versions: Collection[str]) -> Sequence[LookedAt]:
        with self._database.transaction() as cursor:
            cursor.execute(_LOOKS, (sorted(versions), model_type))
            return [_look(row) for row in cursor.fetchall()]

    def waiting(self) -> Waiting:
        with self._database.transaction() as cursor:
            cursor.execute(_WAITING)
            row = cursor.fetchone()
        assert row is not None
        return Waiting(row[0], float(row[1]), float(row[2]))

    def erased(self) -> int:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT count(*) FROM erased_photos")
            row = cursor.fetchone()
        assert row is not None
        return int(row[0])

    def begun(self) -> datetime:
        """When the tables were made, by the records of the migrations, which nobody empties."""
        with self._database.transaction() as cursor:
            cursor.execute("SELECT min(applied_at_utc) FROM _yoyo_migration")
            row = cursor.fetchone()
        assert row is not None
        at: datetime = row[0].replace(tzinfo=UTC)
        return at


def _look(row: tuple[Any, ...]) -> LookedAt:
    return LookedAt(row[0], row[1], State(row[2]), *row[3:])
