"""Table `task_confirmations`: every confirmation once, and how many corrections wait."""

from collections.abc import Iterable, Sequence

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import Json, execute_values

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.events import TaskConfirmedEvent
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import Backlog, Try
from pipeline.ports.events import Stored

_INSERT = """
    INSERT INTO task_confirmations
        (key, task_id, helper_id, ai_result, final_result, corrected, correction_reason, photo_url,
         model_version, confirmed_at, extra, traceparent)
    VALUES %s ON CONFLICT (key) DO NOTHING RETURNING task_id, photo"""

# What a person set aside and is stored meanwhile comes one after the other: whoever is second sees the first.
WITHHOLDING_LOCK = 7_240_003
# As `roll_up` of the migrations has it.
_ROLL_UP_LOCK = 7_240_004
# As `domain/withholding.py` says it, of one `w` and a confirmation `c`.
# No function: asked once for each row, it takes minutes.
COVERS = """COALESCE(CASE w.scope
        WHEN 'branch' THEN w.name IN (c.helper_id, c.extra ->> 'branchId')
        WHEN 'reviewer' THEN w.name = c.extra ->> 'reviewerId'
        ELSE EXISTS (SELECT FROM unnest(w.since, w.until) AS p (since, until)
                     WHERE c.confirmed_at > p.since AND c.confirmed_at <= p.until) END, false)"""
IS_WITHHELD = f"""EXISTS (
        SELECT FROM withholdings w
        WHERE NOT EXISTS (SELECT FROM withholdings_given_back g WHERE g.id = w.id) AND {COVERS})"""
_WITHHELD = f"""
    UPDATE task_confirmations c SET withheld = true, withheld_at = now()
    WHERE corrected AND counts AND NOT withheld AND photo = ANY(%(photos)s) AND {IS_WITHHELD}"""

# The last word on a task counts; where one version judged a photo several times, the last word that is not set aside.
_TAKEN_BACK = """
    UPDATE task_confirmations c SET counts = false WHERE counts AND task_id = ANY(%(tasks)s) AND EXISTS (
        SELECT FROM task_confirmations n
        WHERE n.task_id = c.task_id AND (n.confirmed_at, n.key) > (c.confirmed_at, c.key))
    RETURNING photo"""
_REPEATED = f"""
    UPDATE task_confirmations c SET counts = r.counts,
        came_back_at = CASE WHEN r.counts THEN now() ELSE c.came_back_at END
    FROM (
        SELECT key, 1 = row_number() OVER (
            PARTITION BY photo, model_version ORDER BY {IS_WITHHELD}, confirmed_at DESC, key DESC) AS counts
        FROM task_confirmations c WHERE photo = ANY(%(photos)s) AND NOT EXISTS (
            SELECT FROM task_confirmations n
            WHERE n.task_id = c.task_id AND (n.confirmed_at, n.key) > (c.confirmed_at, c.key))
    ) r WHERE c.key = r.key AND c.counts <> r.counts"""

_TRIAL = """
    INSERT INTO task_confirmations
        (key, task_id, helper_id, ai_result, final_result, corrected, photo_url, confirmed_at)
    VALUES (gen_random_uuid()::text, 'trial', 'trial', 'trial', 'trial', false, '', now())"""

# Consumed: corrections that the champion's dataset could contain. Tried: those that had arrived when the last dataset
# that got a verdict was begun. In vain: the last run since the last verdict that has ended without one.
_BACKLOG = """
    WITH champion AS (
        SELECT d.corrections_through FROM model_versions v JOIN datasets d USING (dataset_id)
        WHERE v.model_type = %(model_type)s AND v.version = %(champion)s
    ), tried AS (
        SELECT max(d.begun_at) AS at FROM datasets d
        JOIN training_results r USING (dataset_id) JOIN blessings b ON b.run_id = r.run_id
        WHERE d.model_type = %(model_type)s
    ), vain AS (
        SELECT run_id, begun_at, outcome FROM retraining_runs r
        WHERE model_type = %(model_type)s AND ended_at IS NOT NULL AND begun_at > COALESCE(
                (SELECT max(decided_at) FROM blessings WHERE model_type = %(model_type)s), '-infinity')
            AND NOT EXISTS (SELECT 1 FROM blessings b WHERE b.run_id = r.run_id)
        ORDER BY begun_at DESC LIMIT 1
    )
    SELECT
        corrections_confirmed_since(COALESCE((SELECT corrections_through FROM champion), '-infinity')),
        corrections_received_since(COALESCE((SELECT at FROM tried), '-infinity')),
        (SELECT max((r.result->>'trained_at')::timestamptz) FROM training_results r JOIN datasets d USING (dataset_id)
            WHERE d.model_type = %(model_type)s),
        vain.run_id, vain.begun_at, vain.outcome, corrections_received_since(vain.begun_at)
    FROM (SELECT) one LEFT JOIN vain ON true"""


class ConfirmationTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def demand_reachable(self) -> None:
        """Writes a row and takes it back, because a database may answer and still accept nothing. Raises
        `ServiceUnavailable`.
        """
        with self._database.connection() as connection, connection.cursor() as cursor:
            cursor.execute(_TRIAL)
            connection.rollback()

    def store(self, events: Sequence[TaskConfirmedEvent]) -> Stored:
        if not events:
            return Stored(0, 0)
        with self._database.transaction() as cursor:
            wait_for_withholdings(cursor)
            wait_for_roll_ups(cursor)
            rows = [_row(event) for event in events]
            new = execute_values(cursor, _INSERT, rows, page_size=len(rows), fetch=True)
            tasks, photos = ([row[n] for row in new] for n in range(2))
            cursor.execute(_TAKEN_BACK, {"tasks": tasks})
            judge_anew(cursor, {*photos, *(photo for (photo,) in cursor.fetchall())})
        return Stored(len(new), len(events) - len(new))

    def backlog(self, model_type: ModelType, champion: str | None) -> Backlog:
        with self._database.transaction() as cursor:
            cursor.execute(_BACKLOG, {"model_type": model_type, "champion": champion})
            row = cursor.fetchone()
        assert row is not None
        return Backlog(row[0], row[1], row[2], Try(*row[3:]) if row[3] is not None else None)


def wait_for_withholdings(cursor: Cursor) -> None:
    """Until this transaction ends, nothing is set aside or given back."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (WITHHOLDING_LOCK,))


def wait_for_roll_ups(cursor: Cursor) -> None:
    """Until this transaction ends, nobody else writes confirmations.

    Call it before rows are written, and after `wait_for_withholdings`: the trigger that counts them waits here, too,
    but it has the rows by then, and whoever it waits for may want them.
    """
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_ROLL_UP_LOCK,))


def judge_anew(cursor: Cursor, photos: Iterable[str]) -> None:
    """Decides anew which word counts for each of these photos, and whether it is set aside. Call it after
    `wait_for_withholdings`.
    """
    values = {"photos": sorted(photos)}
    cursor.execute(_REPEATED, values)
    cursor.execute(_WITHHELD, values)


def _row(event: TaskConfirmedEvent) -> tuple[object, ...]:
    return (
        event.key,
        event.task_id,
        event.helper_id,
        event.ai_result,
        event.final_result,
        event.corrected,
        event.correction_reason,
        event.photo_url,
        event.model_version,
        event.confirmed_at,
        Json(dict(event.extra)) if event.extra else "{}",
        event.traceparent,
    )
