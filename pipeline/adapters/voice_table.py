"""Whose corrections there are, and whose are set aside: each question reads few rows of an index."""

from collections.abc import Sequence
from typing import Any

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.withholding_table import WithholdingTable
from pipeline.domain.history import History
from pipeline.domain.live_accuracy import Period
from pipeline.domain.overview import Voice
from pipeline.domain.withholding import NAMEABLE, Scope, Withheld, standing
from pipeline.domain.worth import Reviewed

_OF_VERSIONS = """
    SELECT r.version, count(c.confirmed_at)
    FROM unnest(%(versions)s::text[], %(from)s::timestamptz[], %(to)s::timestamptz[])
        WITH ORDINALITY AS r (version, since, until, place)
    LEFT JOIN task_confirmations c ON c.corrected AND c.counts AND NOT c.withheld
        AND c.confirmed_at > r.since AND c.confirmed_at <= r.until
    GROUP BY r.version ORDER BY min(r.place)"""
# Enough to know who says much, and read in an instant.
_NEWEST = 20_000
# The pattern is tried on names, not on confirmations: trying one takes as long as reading twenty.
_OF_PEOPLE = f"""
    WITH said AS MATERIALIZED (
        SELECT who, count(*) AS corrections FROM (
            SELECT {{who}} AS who FROM task_confirmations
            WHERE corrected AND counts AND NOT withheld AND confirmed_at > %(since)s AND confirmed_at <= %(until)s
            ORDER BY confirmed_at DESC LIMIT {_NEWEST}) newest
        GROUP BY 1)
    SELECT who, corrections FROM said WHERE who ~ %(nameable)s ORDER BY 2 DESC, 1 LIMIT %(most)s"""
_PEOPLE = {
    Scope.REVIEWER: _OF_PEOPLE.format(who="extra ->> 'reviewerId'"),
    Scope.BRANCH: _OF_PEOPLE.format(who="COALESCE(NULLIF(extra ->> 'branchId', ''), helper_id)"),
}
_REVIEWS = """
    SELECT model_version, corrected, counting, timed, seconds, squares FROM review_totals
    WHERE model_version <> '' AND counting > 0"""


class VoiceTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def withheld(self) -> Sequence[Withheld]:
        return standing(WithholdingTable(self._database).all())

    def voices(self, history: History, period: Period, *, most: int) -> Sequence[Voice]:
        newest = sorted(history.reigns, key=lambda reign: reign.since, reverse=True)[:most]
        reigns = {
            "versions": [reign.version for reign in newest],
            "from": [reign.since for reign in newest],
            "to": [reign.until or period.until for reign in newest],
        }
        found = [Voice(Scope.VERSION, *row) for row in self._rows(_OF_VERSIONS, reigns)]
        for scope, sql in _PEOPLE.items():
            found += [
                Voice(scope, *row) for row in self._rows(sql, {**vars(period), "most": most, "nameable": NAMEABLE})
            ]
        return found

    def reviews(self) -> Sequence[Reviewed]:
        return [
            Reviewed(version, corrected, counting, timed, float(seconds), float(squares))
            for version, corrected, counting, timed, seconds, squares in self._rows(_REVIEWS, ())
        ]

    def _rows(self, sql: str, values: Any) -> list[Any]:
        with self._database.transaction() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()
