"""What the photos of `task_confirmations` show: copies of one are recognised, and only one of them counts."""

from collections.abc import Mapping, Sequence

from psycopg2.extras import execute_values

from pipeline.adapters.confirmation_table import judge_anew, wait_for_roll_ups, wait_for_withholdings
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.live_accuracy import Period

_OF_UNSEEN = """
    FROM task_confirmations WHERE counts AND cluster_id IS NULL AND photo_url <> ''
    AND confirmed_at > %(since)s AND confirmed_at <= %(until)s"""
_UNSEEN = f"SELECT photo_url {_OF_UNSEEN} ORDER BY confirmed_at DESC LIMIT %(limit)s"
_WAITING = f"SELECT count(DISTINCT photo_url) {_OF_UNSEEN}"
_FOUNDERS = """
    SELECT cluster_id FROM task_confirmations
    WHERE counts AND cluster_id ~ '^[0-9a-f]{16}$' AND confirmed_at > %(since)s AND confirmed_at <= %(until)s
    GROUP BY cluster_id ORDER BY min(confirmed_at), cluster_id"""
# Until somebody has looked at it, a photo is identified by its address.
_RECOGNISE = """
    UPDATE task_confirmations c SET cluster_id = v.cluster_id FROM (VALUES %s) v (photo_url, cluster_id)
    WHERE c.photo = v.photo_url AND c.cluster_id IS NULL"""


class EvidenceTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def unseen(self, period: Period, *, limit: int) -> Sequence[str]:
        with self._database.transaction() as cursor:
            cursor.execute(_UNSEEN, {**vars(period), "limit": limit})
            return list(dict.fromkeys(url for (url,) in cursor.fetchall()))

    def waiting(self, period: Period) -> int:
        with self._database.transaction() as cursor:
            cursor.execute(_WAITING, vars(period))
            row = cursor.fetchone()
            return int(row[0]) if row else 0

    def founders(self, period: Period) -> Sequence[int]:
        with self._database.transaction() as cursor:
            cursor.execute(_FOUNDERS, vars(period))
            return [int(cluster, 16) for (cluster,) in cursor.fetchall()]

    def recognise(self, clusters: Mapping[str, str]) -> None:
        if not clusters:
            return
        with self._database.transaction() as cursor:
            wait_for_withholdings(cursor)
            wait_for_roll_ups(cursor)
            execute_values(cursor, _RECOGNISE, list(clusters.items()))
            judge_anew(cursor, set(clusters.values()))
