"""The Helper service's tasks, read-only (DD-03): the role may SELECT from one table, and every session says so too."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from psycopg2.extensions import BYTES, PYDATETIMETZ, new_type, register_type
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from pipeline.adapters.mlops_db import read_only
from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.turns import TIMES

_NAME = "the Helper database"
_PAGE_ROWS = 1000
_NO_TIME = datetime.min.replace(tzinfo=UTC)
_NAMES = (
    "task_id",
    "photo_url",
    "ai_result",
    "final_result",
    "correction_reason",
    "confirmed_at",
    "corrected",
    "helper_id",
)
_COLUMNS = ", ".join(_NAMES)
# Where more wait than are asked for, the newest may all be of one branch. Texts are compared as bytes, which is faster.
_CORRECTIONS = f"""
    WITH waiting AS (
        SELECT task_id, helper_id COLLATE "C" AS branch, correction_reason COLLATE "C" AS reason, confirmed_at,
            ntile({TIMES}) OVER (ORDER BY confirmed_at, task_id) AS slice
        FROM tasks WHERE corrected = true AND confirmed_at > %(since)s
    ), by_reason AS (
        SELECT *, slice = min(slice) OVER (PARTITION BY branch) AS oldest,
            row_number() OVER (PARTITION BY branch, slice, reason ORDER BY confirmed_at, task_id) AS turn
        FROM waiting
    ), by_time AS (
        SELECT *, row_number() OVER (PARTITION BY branch, slice ORDER BY turn, confirmed_at, task_id) AS round
        FROM by_reason
    ), chosen AS (
        SELECT task_id, confirmed_at, row_number() OVER (
            PARTITION BY branch ORDER BY round, oldest DESC, md5(branch || slice), task_id) AS place
        FROM by_time ORDER BY place, confirmed_at, task_id LIMIT %(limit)s
    )
    SELECT {_COLUMNS} FROM tasks WHERE task_id = ANY(ARRAY(SELECT task_id FROM chosen))
    ORDER BY confirmed_at DESC, task_id DESC"""
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


def _as_text(value: str | bytes | None, cursor: Cursor) -> str | bytes | None:
    return value


_TIME_AS_TEXT = new_type(PYDATETIMETZ.values, "TIME_AS_TEXT", _as_text)


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
            values: dict[str, Any] = {}
            while len(found) < limit:
                rows = min(_PAGE_ROWS, limit - len(found))
                page = _fetch(connection, _NEXT_PAGE if values else _FIRST_PAGE, {**values, "limit": rows})
                found += map(_task, page)
                if len(page) < rows:
                    break
                # As the database wrote it, whether or not it can be read.
                values = {"task_id": found[-1].task_id, "confirmed_at": page[-1][5]}
        return found

    def _read(self, queries: Sequence[tuple[str, dict[str, Any]]]) -> list[ConfirmedTask]:
        with self._session() as connection:
            return [_task(row) for query, values in queries for row in _fetch(connection, query, values)]

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        with read_only(self._dsn, _NAME) as connection:
            # Values come as text, so that an unreadable one is a fault of its row, not of the query.
            register_type(BYTES, connection)
            register_type(_TIME_AS_TEXT, connection)
            yield connection


def _fetch(connection: Connection, query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def _task(row: tuple[Any, ...]) -> ConfirmedTask:
    """The task of one row; what cannot be read is left out, and named in `fault`."""
    faults: list[str] = []

    def text(column: int) -> str:
        try:
            return row[column].decode() if row[column] is not None else ""
        except UnicodeDecodeError:
            faults.append(f"{_NAMES[column]} is not UTF-8")
            return str(row[column].decode(errors="replace"))

    at = _time(row[5])
    if at is None:
        faults.append(f"confirmed_at {str(row[5])[:40]!r} is no time that can be read")
    return ConfirmedTask(
        task_id=text(0),
        photo_url=text(1),
        ai_result=text(2),
        final_result=text(3),
        correction_reason=None if row[4] is None else text(4),
        confirmed_at=at or _NO_TIME,
        corrected=bool(row[6]),
        helper_id=text(7),
        fault="; ".join(faults),
    )


def _time(value: str | None) -> datetime | None:
    """None for what Python cannot express as a time: infinity, the year 20000, years before Christ."""
    try:
        return datetime.fromisoformat(value or "")
    except ValueError:
        return None
