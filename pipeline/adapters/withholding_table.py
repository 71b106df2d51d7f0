"""Tables `withholdings` and `withholdings_given_back`; `withheld` marks the corrections that they cover."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor

from include.contract.heard import take_time
from pipeline.adapters.confirmation_table import (
    COVERS,
    IS_WITHHELD,
    WITHHOLDING_LOCK,
    judge_anew,
    wait_for_roll_ups,
    wait_for_withholdings,
)
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.dataset import Manifest
from pipeline.domain.errors import PhotosWithheld
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.withholding import GivenBack, Scope, Withheld, Word, asked_before, standing, withheld_photos

_ALL = """
    SELECT w.id, w.scope, w.name, w.since, w.until, w.actor, w.reason, w.at, w.corrections, g.actor, g.reason, g.at
    FROM withholdings w LEFT JOIN withholdings_given_back g USING (id)"""
_ADD = """
    INSERT INTO withholdings (id, scope, name, since, until, actor, reason, at, corrections)
    VALUES (%(id)s, %(scope)s, %(name)s, %(since)s::timestamptz[], %(until)s::timestamptz[],
        %(actor)s, %(reason)s, %(at)s, %(corrections)s)"""
# Only the rows that this one covers: the table is large.
_WAIT_NO_MORE = f"""
    UPDATE task_confirmations c SET withheld = true, withheld_at = now()
    FROM (SELECT %(scope)s AS scope, %(name)s AS name, %(since)s::timestamptz[] AS since,
              %(until)s::timestamptz[] AS until) w
    WHERE corrected AND counts AND NOT withheld AND {COVERS}"""
_GIVE_BACK = """
    INSERT INTO withholdings_given_back (id, actor, reason, at) VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO NOTHING"""
# A correction that was set aside after the last such dataset was complete may have been in it already.
_WAIT_AGAIN = f"""
    UPDATE task_confirmations c SET withheld = false, withheld_at = NULL,
        came_back_at = CASE WHEN withheld_at < last.at THEN now() ELSE came_back_at END
    FROM (SELECT * FROM withholdings WHERE id = %s) w,
        (SELECT max(COALESCE(completed_at, begun_at)) AS at FROM datasets WHERE model_type = '{ModelType.LAUNDRY}') last
    WHERE withheld AND {COVERS} AND NOT {IS_WITHHELD}"""
# Photos of which another word may count from now on: a covered word did not count, or did.
_PHOTOS_OF_MORE = f"""
    SELECT DISTINCT silent.photo FROM task_confirmations silent, withholdings w
    WHERE NOT silent.counts AND w.id = %s AND EXISTS (
        SELECT FROM task_confirmations c WHERE c.photo = silent.photo AND {COVERS})"""
# A large table takes minutes; whoever stores confirmations meanwhile tries again.
_LARGE_TABLE_SECONDS = 900.0
_WORDS = """
    SELECT DISTINCT ON (task_id) task_id, COALESCE(NULLIF(extra ->> 'branchId', ''), helper_id), extra ->> 'reviewerId'
    FROM task_confirmations WHERE task_id = ANY(%s) ORDER BY task_id, confirmed_at DESC, key DESC"""


class WithholdingTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def withhold(self, withheld: Withheld) -> Withheld:
        times = {"since": [p.since for p in withheld.periods], "until": [p.until for p in withheld.periods]}
        with self._database.transaction() as cursor:
            _decide_alone(cursor)
            if same := asked_before(withheld, _known(cursor)):
                return same
            values = {**vars(withheld), **times}
            cursor.execute(_WAIT_NO_MORE, values)
            cursor.execute(_ADD, {**values, "corrections": cursor.rowcount})
            _judge_anew_what_it_covers(cursor, withheld.id)
            return _kept(cursor, withheld.id)

    def give_back(self, withheld_id: str, given_back: GivenBack) -> Withheld:
        with self._database.transaction() as cursor:
            _decide_alone(cursor)
            cursor.execute(_GIVE_BACK, (withheld_id, given_back.actor, given_back.reason, given_back.at))
            if cursor.rowcount:
                cursor.execute(_WAIT_AGAIN, (withheld_id,))
                _judge_anew_what_it_covers(cursor, withheld_id)
            return _kept(cursor, withheld_id)

    def all(self) -> Sequence[Withheld]:
        with self._database.transaction() as cursor:
            return _known(cursor)

    def words(self, task_ids: Sequence[str]) -> Mapping[str, Word]:
        with self._database.transaction() as cursor:
            return _words(cursor, task_ids)


def _decide_alone(cursor: Cursor) -> None:
    take_time(cursor, _LARGE_TABLE_SECONDS)
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (WITHHOLDING_LOCK,))
    wait_for_roll_ups(cursor)


def _judge_anew_what_it_covers(cursor: Cursor, withheld_id: str) -> None:
    cursor.execute(_PHOTOS_OF_MORE, (withheld_id,))
    judge_anew(cursor, {photo for (photo,) in cursor.fetchall()})


def demand_trusted(cursor: Cursor, manifest: Manifest) -> None:
    """Until this transaction ends nothing is set aside beside it. Raises `PhotosWithheld`."""
    wait_for_withholdings(cursor)
    if known := standing(_known(cursor)):
        words = _words(cursor, [photo.task_id for photo in manifest.photos])
        if found := withheld_photos(manifest.photos, known, words):
            raise PhotosWithheld(manifest.dataset_id, len(found), str(found[0]))


def _words(cursor: Cursor, task_ids: Sequence[str]) -> dict[str, Word]:
    cursor.execute(_WORDS, (list(task_ids),))
    return {task_id: Word(branch, reviewer) for task_id, branch, reviewer in cursor.fetchall()}


def _known(cursor: Cursor) -> list[Withheld]:
    cursor.execute(f"{_ALL} ORDER BY w.at DESC, w.id")
    return [_withheld(row) for row in cursor.fetchall()]


def _kept(cursor: Cursor, withheld_id: str) -> Withheld:
    cursor.execute(f"{_ALL} WHERE w.id = %s", (withheld_id,))
    return _withheld(cursor.fetchone())


def _withheld(row: Any) -> Withheld:
    id_, scope, name, since, until, actor, reason, at, corrections, *given = row
    periods = tuple(Period(*ends) for ends in zip(since, until, strict=True))
    back = GivenBack(*given) if given[0] is not None else None
    return Withheld(id_, Scope(scope), name, periods, actor, reason, at, corrections, back)
