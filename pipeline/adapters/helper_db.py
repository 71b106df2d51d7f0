"""The Helper service's tasks, read-only (DD-03): the role may SELECT from one table, and every session says so too."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from pipeline.adapters.mlops_db import connect
from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.errors import ServiceUnavailable

_NAME = "the Helper database"
_PAGE_ROWS = 1000
_COLUMNS = "task_id, photo_url, ai_result, final_result, correction_reason, confirmed_at, corrected, helper_id"
_CORRECTIONS = f"""
    SELECT {_COLUMNS} FROM tasks
    WHERE corrected = true AND confirmed_at > %(since)s
    ORDER BY confirmed_at DESC
    LIMIT %(limit)s"""
# Sampling by a hash of the id reads only the rows it returns if the Helper database has the indexes of its migration
# 0002, else the whole table. Either way it draws the same tasks each time, and mostly the same ones next month.
_EARLIER_CORRECTIONS = f"""
    SELECT {_COLUMNS} FROM tasks
    WHERE corrected AND confirmed_at IS NOT NULL AND confirmed_at <= %(until)s
    ORDER BY md5(task_id), task_id
    LIMIT %(limit)s"""
_HISTORY = f"""
    SELECT {_COLUMNS} FROM tasks
    WHERE confirmed_at IS NOT NULL
    ORDER BY md5(task_id), task_id
    LIMIT %(limit)s"""
_TASKS = f"""
    SELECT {_COLUMNS} FROM tasks
    WHERE task_id = ANY(%(task_ids)s) AND confirmed_at IS NOT NULL
    ORDER BY task_id"""
_FIRST_PAGE = f"""
    SELECT {_COLUMNS} FROM tasks
    WHERE confirmed_at IS NOT NULL
    ORDER BY confirmed_at DESC, task_id DESC
    LIMIT %(limit)s"""
_NEXT_PAGE = f"""
    SELECT {_COLUMNS} FROM tasks
    WHERE confirmed_at IS NOT NULL AND (confirmed_at, task_id) < (%(confirmed_at)s, %(task_id)s)
    ORDER BY confirmed_at DESC, task_id DESC
    LIMIT %(limit)s"""


class HelperDatabase:
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def corrections(self, *, since: datetime | None, limit: int) -> Sequence[ConfirmedTask]:
        values = {"since": since.isoformat() if since else "-infinity", "limit": limit}
        return self._read([(_CORRECTIONS, values)])

    def earlier_corrections(self, *, until: datetime, limit: int) -> Sequence[ConfirmedTask]:
        return self._read([(_EARLIER_CORRECTIONS, {"until": until, "limit": limit})])

    def history(self, *, limit: int) -> Sequence[ConfirmedTask]:
        return self._read([(_HISTORY, {"limit": limit})])

    def tasks(self, task_ids: Sequence[str]) -> Sequence[ConfirmedTask]:
        pages = [list(task_ids[start : start + _PAGE_ROWS]) for start in range(0, len(task_ids), _PAGE_ROWS)]
        return self._read([(_TASKS, {"task_ids": page}) for page in pages])

    def confirmed(self, *, limit: int) -> Sequence[ConfirmedTask]:
        """Keyset pages: as fast on the last page as on the first, whatever the table's size."""
        found: list[ConfirmedTask] = []
        with self._session() as connection:
            while len(found) < limit:
                rows = min(_PAGE_ROWS, limit - len(found))
                last = found[-1] if found else None
                values: dict[str, Any] = {"limit": rows}
                if last:
                    values |= {"confirmed_at": last.confirmed_at, "task_id": last.task_id}
                page = _fetch(connection, _NEXT_PAGE if last else _FIRST_PAGE, values)
                found += page
                if len(page) < rows:
                    break
        return found

    def _read(self, queries: Sequence[tuple[str, dict[str, Any]]]) -> list[ConfirmedTask]:
        with self._session() as connection:
            return [task for query, values in queries for task in _fetch(connection, query, values)]

    def _session(self) -> "_Session":
        return _Session(self._dsn)


class _Session:
    """One read-only connection; errors become `ServiceUnavailable` with the reason."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def __enter__(self) -> Connection:
        self._connection = connect(self._dsn, _NAME, options="-c default_transaction_read_only=on")
        return self._connection

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._connection.close()
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            raise ServiceUnavailable(_NAME, " ".join(str(error).split())) from error


def _fetch(connection: Connection, query: str, values: dict[str, Any]) -> list[ConfirmedTask]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return [
            ConfirmedTask(
                task_id=row[0],
                photo_url=row[1],
                ai_result=row[2],
                final_result=row[3],
                correction_reason=row[4],
                confirmed_at=row[5],
                corrected=row[6],
                helper_id=row[7],
            )
            for row in cursor.fetchall()
        ]
