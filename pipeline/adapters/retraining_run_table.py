"""Table `retraining_runs`: a unique index admits one retraining of a model type at a time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

import psycopg2
from psycopg2.errors import UniqueViolation
from psycopg2.extensions import cursor as Cursor

from pipeline.adapters.mlops_db import MlopsDatabase, not_ready, unavailable
from pipeline.adapters.process_lock import exclusive
from pipeline.domain.errors import RunBusy
from pipeline.domain.models import ModelType, demand_of_type
from pipeline.domain.retraining import Claim, RunOutcome


class RetrainingRunTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def begin(self, run_id: str, model_type: ModelType, *, at: datetime, by: str = "") -> bool:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT model_type, ended_at IS NULL FROM retraining_runs WHERE run_id = %s", (run_id,))
            if row := cursor.fetchone():
                demand_of_type(run_id, row[0], model_type)
                if row[1]:
                    return True
        try:
            with self._database.transaction() as cursor:
                cursor.execute(
                    "INSERT INTO retraining_runs AS r (run_id, model_type, begun_at, begun_by) VALUES (%s, %s, %s, %s)"
                    " ON CONFLICT (run_id) DO UPDATE SET ended_at = NULL, outcome = NULL, begun_at = EXCLUDED.begun_at,"
                    " seen_at = NULL,"
                    " begun_by = COALESCE(NULLIF(EXCLUDED.begun_by, ''), r.begun_by)",
                    (run_id, model_type, at, by),
                )
        except UniqueViolation:
            return False
        return True

    def holds(self, run_id: str) -> bool:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT 1 FROM retraining_runs WHERE run_id = %s AND ended_at IS NULL", (run_id,))
            return cursor.fetchone() is not None

    @contextmanager
    def attended(self, run_id: str) -> Iterator["LockedAttendance"]:
        with ExitStack() as session:
            yield LockedAttendance(self._database, run_id, session)

    def claim(self, model_type: ModelType) -> Claim | None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT run_id, begun_at, begun_by, seen_at FROM retraining_runs"
                " WHERE model_type = %s AND ended_at IS NULL",
                (model_type,),
            )
            row = cursor.fetchone()
        return Claim(*row) if row else None

    def outcome(self, run_id: str) -> str | None:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT outcome FROM retraining_runs WHERE run_id = %s", (run_id,))
            row = cursor.fetchone()
        return row[0] if row else None

    def end(self, run_id: str, *, at: datetime, outcome: str) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE retraining_runs SET ended_at = COALESCE(ended_at, %s), outcome = %s"
                " WHERE run_id = %s AND (ended_at IS NULL OR %s)",
                (at, outcome, run_id, outcome == RunOutcome.DEPLOYED),
            )


class LockedAttendance:
    """Says that its process lives in the session that has the lock: with the one the other would be lost unseen."""

    def __init__(self, database: MlopsDatabase, run_id: str, session: ExitStack) -> None:
        self._database, self._run_id, self._session = database, run_id, session
        self._cursor: Cursor | None = self._locked()

    def lives(self, *, at: datetime) -> bool:
        try:
            self._cursor = cursor = self._cursor or self._locked()
            cursor.execute(
                "UPDATE retraining_runs SET seen_at = %s WHERE run_id = %s AND ended_at IS NULL", (at, self._run_id)
            )
            return cursor.rowcount > 0
        except RunBusy:
            return False
        except psycopg2.Error as error:
            self._cursor = None
            self._session.close()
            if not not_ready(error):
                raise
            raise unavailable("the mlops database", error) from error

    def _locked(self) -> Cursor:
        busy = f"another process works at run {self._run_id}: try again when it has ended"
        return self._session.enter_context(exclusive(self._database, f"run {self._run_id} by hand", busy))
