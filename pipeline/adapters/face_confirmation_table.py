"""Table `face_confirmations`: every confirmation about faces once, how often the model was right by person, and how
many corrections wait.
"""

from collections.abc import Sequence
from datetime import datetime

from psycopg2.extras import Json, execute_values

from pipeline.adapters.erasure_table import wait_for_erasures
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.faces.confirmations import DIFFERENT, SAME, FaceConfirmation
from pipeline.domain.faces.live import FaceTally
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import Backlog, Try
from pipeline.ports.events import Stored

_INSERT = """
    INSERT INTO face_confirmations
        (key, check_id, door_id, person, claimed, ai_result, final_result, correction_reason, photo_url,
         model_version, confirmed_at, score, threshold, shown, extra)
    VALUES %s ON CONFLICT (key) DO NOTHING RETURNING key"""

# The last word on a check counts. Written as the search for one row: as NOT EXISTS, PostgreSQL would read the whole
# table.
_IS_LAST = """c.key = (
            SELECT n.key FROM face_confirmations n WHERE n.check_id = c.check_id
            ORDER BY n.confirmed_at DESC, n.key DESC LIMIT 1)"""

# Whom it showed instead counts beside whom it was about, where all were asked for; not in what decides: how often
# people say it is no property of a version.
_TALLIES = f"""
    WITH last AS (
        SELECT model_version, person, shown, claimed, ai_result = %(same)s AS opened, final_result = %(same)s AS shows
        FROM face_confirmations c
        WHERE confirmed_at > %(since)s AND confirmed_at <= %(until)s AND {_IS_LAST}
    ), about AS (
        SELECT model_version, person, opened, shows, claimed, false AS instead FROM last
        UNION ALL
        SELECT model_version, shown, opened, true, false, true FROM last WHERE shown IS NOT NULL AND NOT claimed
    )
    SELECT model_version, person,
        count(*) FILTER (WHERE shows AND claimed),
        count(*) FILTER (WHERE shows AND claimed AND NOT opened),
        count(*) FILTER (WHERE opened AND NOT instead),
        count(*) FILTER (WHERE opened AND NOT instead AND NOT shows),
        count(*) FILTER (WHERE shows AND NOT claimed),
        count(*) FILTER (WHERE shows AND NOT claimed AND NOT opened),
        count(*) FILTER (WHERE instead AND opened)
    FROM about GROUP BY 1, 2 ORDER BY 1, 2"""

# As in `ConfirmationTable`; a dataset made from a folder has tried none of them. Asked anew of each moment,
# only what came since is read.
_BACKLOG = f"""
    WITH waiting AS NOT MATERIALIZED (
        SELECT CASE WHEN claimed THEN person ELSE COALESCE(shown, person) END AS person, confirmed_at, received_at
        FROM face_confirmations c
        WHERE (ai_result <> final_result OR shown IS NOT NULL AND NOT claimed) AND {_IS_LAST}
    ), champion AS (
        SELECT COALESCE(max(d.corrections_through), '-infinity') AS through
        FROM model_versions v JOIN datasets d USING (dataset_id)
        WHERE v.model_type = %(model_type)s AND v.version = %(champion)s
    ), tried AS (
        SELECT COALESCE(max(d.begun_at), '-infinity') AS at FROM datasets d JOIN blessings b ON b.run_id = d.run_id
        WHERE d.model_type = %(model_type)s AND d.corrections_through IS NOT NULL
    ), verdict AS (
        SELECT max(decided_at) AS at FROM blessings WHERE model_type = %(model_type)s
    ), vain AS (
        SELECT run_id, begun_at, outcome FROM retraining_runs r, verdict
        WHERE model_type = %(model_type)s AND ended_at IS NOT NULL AND begun_at > COALESCE(verdict.at, '-infinity')
            AND NOT EXISTS (SELECT FROM blessings b WHERE b.run_id = r.run_id)
        ORDER BY begun_at DESC LIMIT 1
    )
    SELECT
        (SELECT count(*) FROM waiting WHERE confirmed_at > champion.through),
        (SELECT count(*) FROM waiting WHERE received_at > tried.at),
        verdict.at,
        (SELECT count(DISTINCT person) FROM waiting WHERE confirmed_at > champion.through),
        vain.run_id, vain.begun_at, vain.outcome,
        (SELECT count(*) FROM waiting WHERE received_at > vain.begun_at)
    FROM champion, tried, verdict LEFT JOIN vain ON true"""


class FaceConfirmationTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def store(self, said: Sequence[FaceConfirmation]) -> Stored:
        with self._database.transaction() as cursor:
            wait_for_erasures(cursor)
            named = [person for one in said for person in one.people]
            cursor.execute("SELECT task_id FROM erased_photos WHERE task_id = ANY(%s)", (named,))
            erased = {person for (person,) in cursor.fetchall()}
            rows = [_row(one) for one in said if erased.isdisjoint(one.people)]
            new = execute_values(cursor, _INSERT, rows, page_size=len(rows), fetch=True) if rows else []
        return Stored(len(new), len(said) - len(new))

    def tallies(self, since: datetime, until: datetime) -> Sequence[FaceTally]:
        values = {"same": SAME, "different": DIFFERENT, "since": since, "until": until}
        with self._database.transaction() as cursor:
            cursor.execute(_TALLIES, values)
            return [FaceTally(*row) for row in cursor.fetchall()]

    def backlog(self, model_type: ModelType, champion: str | None) -> Backlog:
        with self._database.transaction() as cursor:
            cursor.execute(_BACKLOG, {"model_type": model_type, "champion": champion})
            row = cursor.fetchone()
        assert row is not None
        corrections, since_last_try, last_trained_at, people, *vain = row
        in_vain = Try(*vain) if vain[0] is not None else None
        return Backlog(corrections, since_last_try, last_trained_at, in_vain, people=people)

    def newest(self, version: str, since: datetime, until: datetime) -> datetime | None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT max(confirmed_at) FROM face_confirmations"
                " WHERE model_version = %s AND confirmed_at > %s AND confirmed_at <= %s",
                (version, since, until),
            )
            row = cursor.fetchone()
        return row[0] if row else None

    def forget(self, person: str) -> int:
        with self._database.transaction() as cursor:
            cursor.execute("DELETE FROM face_confirmations WHERE person = %(who)s OR shown = %(who)s", {"who": person})
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
        said.shown,
        Json(dict(said.extra)),
    )
