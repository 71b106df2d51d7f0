"""Confirmations joined to the version that gave the verdict, counted by the database from one index."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.history import History
from pipeline.domain.live_accuracy import LabelTally, Period, Tally

MOST_VERSIONS, MOST_WORDS = 50, 200
"""Versions that are listed of a period, and verdicts of each."""
_FOREVER = datetime.max.replace(tzinfo=UTC)

# A confirmation without a version belongs to the version that served when it was given.
_REIGNS = """
    SELECT * FROM unnest(%(reigning)s::text[], %(from)s::timestamptz[], %(to)s::timestamptz[])
        AS reigns (version, since, until)"""
# Quarters of an hour are counted as confirmations come in (migration 0052), so that a week takes as long as a day.
# Moments are whole microseconds: what is after one begins at the next.
_AFTER, _THROUGH = ("%(since)s::timestamptz + '1 us'::interval", "%(until)s::timestamptz + '1 us'::interval")
_QUARTERS = f"""
    SELECT v.model_version AS version, v.quarter, v.final_result, v.blind, v.confirmed, v.agreed
    FROM verdicts_between({_AFTER}, {_THROUGH}) v WHERE v.model_version <> ''
    UNION ALL
    SELECT r.version, v.quarter, v.final_result, v.blind, v.confirmed, v.agreed
    FROM ({_REIGNS}) r
        CROSS JOIN LATERAL verdicts_between(GREATEST(r.since, {_AFTER}), LEAST(r.until, {_THROUGH})) v
    WHERE r.since < {_THROUGH} AND r.until > {_AFTER} AND v.model_version = ''"""
# When the last of them was given: in the last quarter that has any. Of one version, as it reads that quarter's rows; of
# its verdicts those that are most.
_COUNT = f"""
    WITH counted AS MATERIALIZED (SELECT * FROM ({_QUARTERS}) q WHERE version = %(version)s{{which}}),
    last AS (
        SELECT version, max(quarter) AS quarter FROM counted GROUP BY version
    ), newest AS MATERIALIZED (
        SELECT last.version, one.at FROM last CROSS JOIN LATERAL (
            SELECT c.confirmed_at AS at FROM task_confirmations c
            WHERE c.counts AND {{of_them}}
                AND c.confirmed_at >= GREATEST(last.quarter, {_AFTER})
                AND c.confirmed_at < LEAST(last.quarter + interval '15 minutes', {_THROUGH})
                AND (c.model_version = last.version OR COALESCE(c.model_version, '') = '' AND EXISTS (
                    SELECT FROM ({_REIGNS}) r
                    WHERE r.version = last.version AND c.confirmed_at >= r.since AND c.confirmed_at < r.until))
            ORDER BY c.confirmed_at DESC LIMIT 1) one
    )
    SELECT version, final_result, sum(confirmed), sum(agreed), max(newest.at)
    FROM counted JOIN newest USING (version)
    GROUP BY version, final_result ORDER BY sum(confirmed) DESC, final_result LIMIT 200"""
_TALLY = _COUNT.format(which="", of_them="true")
_BLIND = _COUNT.format(which=" AND blind", of_them="c.blind")
# Whoever sends confirmations chooses what versions and verdicts they name: those that served come first, then those of
# which there are most, as above.
_BY_VERSION = f"""
    SELECT version, final_result, confirmed, agreed FROM (
        SELECT *, dense_rank() OVER (
            ORDER BY version = ANY(%(reigning)s::text[]) DESC, of_version DESC, version) AS place,
            row_number() OVER (PARTITION BY version ORDER BY confirmed DESC, final_result) AS word
        FROM (
            SELECT version, final_result, sum(confirmed) AS confirmed, sum(agreed) AS agreed,
                sum(sum(confirmed)) OVER (PARTITION BY version) AS of_version
            FROM ({_QUARTERS}) q GROUP BY version, final_result) counted
    ) ranked
    WHERE place <= {MOST_VERSIONS} AND word <= {MOST_WORDS} ORDER BY place, word"""
# As many of each part as are asked for, and of those the newest.
_PART = """
    SELECT final_result, corrected, confirmed_at FROM task_confirmations
    WHERE counts AND model_version {} AND confirmed_at > %(since)s AND confirmed_at <= %(until)s{}
    ORDER BY confirmed_at DESC LIMIT %(count)s"""
_NEWEST = f"""
    SELECT %(version)s, final_result, count(*), count(*) FILTER (WHERE NOT corrected), max(confirmed_at) FROM (
        SELECT * FROM (
            ({_PART.format("= %(version)s", "")})
            UNION ALL
            SELECT c.* FROM ({_REIGNS}) r CROSS JOIN LATERAL (
                {_PART.format("IS NULL", " AND confirmed_at >= r.since AND confirmed_at < r.until")}) c
            WHERE r.version = %(version)s) a
        ORDER BY confirmed_at DESC LIMIT %(count)s) c
    GROUP BY final_result ORDER BY final_result"""


class LiveMetricsView:
    """Live accuracy of laundry models, the only ones that this table is about."""

    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def tally(self, history: History, version: str, period: Period) -> Tally:
        return self._asked(_TALLY, history, period, version=version).get(version, Tally())

    def newest(self, history: History, version: str, period: Period, count: int) -> Tally:
        return self._asked(_NEWEST, history, period, version=version, count=count).get(version, Tally())

    def blind(self, history: History, version: str, period: Period) -> Tally:
        return self._asked(_BLIND, history, period, version=version).get(version, Tally())

    def by_version(self, history: History, period: Period) -> Mapping[str, Sequence[LabelTally]]:
        return {version: _labels(rows) for version, rows in self._rows(_BY_VERSION, history, period).items()}

    def _asked(self, sql: str, history: History, period: Period, **values: Any) -> Mapping[str, Tally]:
        return {version: _tally(rows) for version, rows in self._rows(sql, history, period, **values).items()}

    def _rows(self, sql: str, history: History, period: Period, **values: Any) -> Mapping[str, list[Any]]:
        reigns = {
            "reigning": [reign.version for reign in history.reigns],
            "from": [reign.since for reign in history.reigns],
            "to": [reign.until or _FOREVER for reign in history.reigns],
        }
        rows: dict[str, list[Any]] = {}
        with self._database.transaction() as cursor:
            cursor.execute(sql, {"since": period.since, "until": period.until, **reigns, **values})
            for version, *row in cursor.fetchall():
                rows.setdefault(version, []).append(row)
        return rows


def _tally(rows: Sequence[Any]) -> Tally:
    return Tally(_labels(rows), max((newest for *_, newest in rows), default=None))


def _labels(rows: Iterable[Any]) -> tuple[LabelTally, ...]:
    return tuple(LabelTally(label, int(confirmed), int(agreed)) for label, confirmed, agreed, *_ in sorted(rows))
