"""Tables `withholdings` and `withholdings_given_back`; `withheld` marks the corrections that they cover."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor

from pipeline.adapters.confirmation_table import WITHHELD, WITHHOLDING_LOCK
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.live_accuracy import Period
from pipeline.domain.withholding import GivenBack, Scope, Withheld, Word

_ALL = """
    SELECT w.id, w.scope, w.name, w.since, w.until, w.actor, w.reason, w.at, w.corrections, g.actor, g.reason, g.at
    FROM withholdings w LEFT JOIN withholdings_given_back g USING (id)"""
_ADD = """
    INSERT INTO withholdings (id, scope, name, since, until, actor, reason, at, corrections)
    SELECT %(id)s, %(scope)s, %(name)s, %(since)s::timestamptz[], %(until)s::timestamptz[],
        %(actor)s, %(reason)s, %(at)s, count(*) FROM task_confirmations c
    WHERE corrected AND counts AND NOT withheld
        AND covers(%(scope)s, %(name)s, %(since)s::timestamptz[], %(until)s::timestamptz[], c)
    ON CONFLICT (id) DO NOTHING"""
_GIVE_BACK = """
    INSERT INTO withholdings_given_back (id, actor, reason, at) VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO NOTHING"""
_COUNTS_AGAIN = "UPDATE task_confirmations c SET withheld = false WHERE withheld AND NOT is_withheld(c)"
_WORDS = """
    SELECT DISTINCT ON (task_id) task_id, COALESCE(extra ->> 'branchId', helper_id), extra ->> 'reviewerId'
    FROM task_confirmations WHERE task_id = ANY(%s) ORDER BY task_id, confirmed_at DESC, key DESC"""


class WithholdingTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def withhold(self, withheld: Withheld) -> Withheld:
        times = {"since": [p.since for p in withheld.periods], "until": [p.until for p in withheld.periods]}
        with self._database.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (WITHHOLDING_LOCK,))
            cursor.execute(_ADD, {**vars(withheld), **times})
            cursor.execute(WITHHELD)
            return _kept(cursor, withheld.id)

    def give_back(self, withheld_id: str, given_back: GivenBack) -> Withheld:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (WITHHOLDING_LOCK,))
            cursor.execute(_GIVE_BACK, (withheld_id, given_back.actor, given_back.reason, given_back.at))
            cursor.execute(_COUNTS_AGAIN)
            return _kept(cursor, withheld_id)

    def all(self) -> Sequence[Withheld]:
        with self._database.transaction() as cursor:
            cursor.execute(f"{_ALL} ORDER BY w.at DESC, w.id")
            return [_withheld(row) for row in cursor.fetchall()]

    def words(self, task_ids: Sequence[str]) -> Mapping[str, Word]:
        with self._database.transaction() as cursor:
            cursor.execute(_WORDS, (list(task_ids),))
            return {task_id: Word(branch, reviewer) for task_id, branch, reviewer in cursor.fetchall()}


def _kept(cursor: Cursor, withheld_id: str) -> Withheld:
    cursor.execute(f"{_ALL} WHERE w.id = %s", (withheld_id,))
    return _withheld(cursor.fetchone())


def _withheld(row: Any) -> Withheld:
    id_, scope, name, since, until, actor, reason, at, corrections, *given = row
    periods = tuple(Period(*ends) for ends in zip(since, until, strict=True))
    back = GivenBack(*given) if given[0] is not None else None
    return Withheld(id_, Scope(scope), name, periods, actor, reason, at, corrections, back)
