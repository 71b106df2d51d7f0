"""Table `face_confirmations`: every confirmation about faces once, and how often the model was right by person."""

from collections.abc import Sequence
from datetime import datetime

from psycopg2.extras import Json, execute_values

from pipeline.adapters.erasure_table import wait_for_erasures
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.faces.confirmations import DIFFERENT, SAME, FaceConfirmation
from pipeline.domain.faces.live import FaceTally
from pipeline.ports.events import Stored

_INSERT = """
    INSERT INTO face_confirmations
        (key, check_id, door_id, person, claimed, ai_result, final_result, correction_reason, photo_url,
         model_version, confirmed_at, score, threshold, extra)
    VALUES %s ON CONFLICT (key) DO NOTHING RETURNING key"""

# Of a check the last word counts.
_TALLIES = """
    SELECT model_version, person,
        count(*) FILTER (WHERE final_result = %(same)s),
        count(*) FILTER (WHERE final_result = %(same)s AND ai_result = %(different)s),
        count(*) FILTER (WHERE ai_result = %(same)s),
        count(*) FILTER (WHERE ai_result = %(same)s AND final_result = %(different)s)
    FROM face_confirmations c
    WHERE confirmed_at > %(since)s AND confirmed_at <= %(until)s AND NOT EXISTS (
        SELECT FROM face_confirmations n
        WHERE n.check_id = c.check_id AND (n.confirmed_at, n.key) > (c.confirmed_at, c.key))
    GROUP BY 1, 2 ORDER BY 1, 2"""


class FaceConfirmationTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def store(self, said: Sequence[FaceConfirmation]) -> Stored:
        with self._database.transaction() as cursor:
            wait_for_erasures(cursor)
            cursor.execute("SELECT task_id FROM erased_photos WHERE task_id = ANY(%s)", ([one.person for one in said],))
            erased = {person for (person,) in cursor.fetchall()}
            rows = [_row(one) for one in said if one.person not in erased]
            new = execute_values(cursor, _INSERT, rows, page_size=len(rows), fetch=True) if rows else []
        return Stored(len(new), len(said) - len(new))

    def tallies(self, since: datetime, until: datetime) -> Sequence[FaceTally]:
        values = {"same": SAME, "different": DIFFERENT, "since": since, "until": until}
        with self._database.transaction() as cursor:
            cursor.execute(_TALLIES, values)
            return [FaceTally(*row) for row in cursor.fetchall()]

    def forget(self, person: str) -> int:
        with self._database.transaction() as cursor:
            cursor.execute("DELETE FROM face_confirmations WHERE person = %s", (person,))
            return cursor.rowcount


def _row(said: FaceConfirmation) -> tuple[object, ...]:
    return (
        said.key,
        said.check_id,
        said.door_id,
        said.person,
        said.claimed,
        said.ai_result,
        said.final_result,
        said.correction_reason,
        said.photo_url,
        said.model_version,
        said.confirmed_at,
        said.score,
        said.threshold,
        Json(dict(said.extra)),
    )
