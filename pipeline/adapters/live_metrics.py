"""Confirmations joined to the version that gave the verdict, counted by the database from one index."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.history import History
from pipeline.domain.live_accuracy import LabelTally, Period, Tally

_FOREVER = datetime.max.replace(tzinfo=UTC)

# A confirmation without a version belongs to the version that served when it was given.
_REIGNS = """
    SELECT * FROM unnest(%(reigning)s::text[], %(from)s::timestamptz[], %(to)s::timestamptz[])
        AS reigns (version, since, until)"""
_OF_VERSION = f"""
    SELECT final_result, corrected, confirmed_at, blind FROM task_confirmations
    WHERE counts AND model_version = %(version)s AND confirmed_at > %(since)s AND confirmed_at <= %(until)s
    UNION ALL
    SELECT c.final_result, c.corrected, c.confirmed_at, c.blind FROM ({_REIGNS}) r JOIN task_confirmations c
        ON c.counts AND c.model_version IS NULL AND c.confirmed_at >= r.since AND c.confirmed_at < r.until
    WHERE r.version = %(version)s AND c.confirmed_at > %(since)s AND c.confirmed_at <= %(until)s"""
_COUNT = "SELECT final_result, count(*), count(*) FILTER (WHERE NOT corrected), max(confirmed_at)"
_TALLY = f"{_COUNT} FROM ({_OF_VERSION}) c GROUP BY final_result ORDER BY final_result"
_BLIND = f"{_COUNT} FROM ({_OF_VERSION}) c WHERE blind GROUP BY final_result ORDER BY final_result"
_NEWEST = f"""
    {_COUNT} FROM (SELECT * FROM ({_OF_VERSION}) a ORDER BY confirmed_at DESC LIMIT %(count)s) c
    GROUP BY final_result ORDER BY final_result"""
_BY_VERSION = f"""
    SELECT version, final_result, sum(confirmed), sum(agreed), max(newest) FROM (
        SELECT model_version AS version, final_result, count(*) AS confirmed,
               count(*) FILTER (WHERE NOT corrected) AS agreed, max(confirmed_at) AS newest
        FROM task_confirmations
        WHERE counts AND model_version IS NOT NULL AND confirmed_at > %(since)s AND confirmed_at <= %(until)s
        GROUP BY model_version, final_result
        UNION ALL
        SELECT r.version, c.final_result, count(*), count(*) FILTER (WHERE NOT c.corrected), max(c.confirmed_at)
        FROM ({_REIGNS}) r JOIN task_confirmations c
            ON c.counts AND c.model_version IS NULL AND c.confirmed_at >= r.since AND c.confirmed_at < r.until
        WHERE c.confirmed_at > %(since)s AND c.confirmed_at <= %(until)s
        GROUP BY r.version, c.final_result) parts
    GROUP BY version, final_result ORDER BY version, final_result LIMIT 200"""


class LiveMetricsView:
    """Live accuracy of laundry models, the only ones that this table is about."""

    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def tally(self, history: History, version: str, period: Period) -> Tally:
        return _tally(self._rows(_TALLY, history, period, version=version))

    def newest(self, history: History, version: str, period: Period, count: int) -> Tally:
        return _tally(self._rows(_NEWEST, history, period, version=version, count=count))

    def blind(self, history: History, version: str, period: Period) -> Tally:
        return _tally(self._rows(_BLIND, history, period, version=version))

    def by_version(self, history: History, period: Period) -> Mapping[str, Tally]:
        rows: dict[str, list[Any]] = {}
        for version, *row in self._rows(_BY_VERSION, history, period):
            rows.setdefault(version, []).append(row)
        return {version: _tally(of_version) for version, of_version in rows.items()}

    def _rows(self, sql: str, history: History, period: Period, **values: Any) -> list[Any]:
        reigns = {
            "reigning": [reign.version for reign in history.reigns],
            "from": [reign.since for reign in history.reigns],
            "to": [reign.until or _FOREVER for reign in history.reigns],
        }
        with self._database.transaction() as cursor:
            cursor.execute(sql, {"since": period.since, "until": period.until, **reigns, **values})
            return cursor.fetchall()


def _tally(rows: Iterable[Any]) -> Tally:
    found = list(rows)
    labels = tuple(LabelTally(label, int(confirmed), int(agreed)) for label, confirmed, agreed, _ in found)
    return Tally(labels, max((newest for *_, newest in found), default=None))
