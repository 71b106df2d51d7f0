"""RewardConfirmationManager: tasks, confirmations, and the event that each causes (specification §2.1)."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg2.errors import UniqueViolation
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import Json
from psycopg2.pool import ThreadedConnectionPool


class NoSuchTask(Exception):
    """The task id is unknown."""


class Contradiction(Exception):
    """The request contradicts what is known; the text says how."""


@dataclass(frozen=True)
class Task:
    task_id: str
    helper_id: str
    photo_url: str
    ai_result: str
    model_version: str | None
    final_result: str | None = None
    corrected: bool | None = None
    correction_reason: str | None = None
    confirmed_at: datetime | None = None


@dataclass(frozen=True)
class Confirmation:
    final_result: str
    ai_result: str
    corrected: bool
    correction_reason: str | None


_SELECT = """
    SELECT task_id, helper_id, photo_url, ai_result, model_version, final_result, corrected, correction_reason,
           confirmed_at
    FROM tasks WHERE task_id = %s"""


class Tasks:
    def __init__(self, dsn: str, blind_audit_share: float = 0.0) -> None:
        self._blind_audit_share = blind_audit_share
        self._pool = ThreadedConnectionPool(1, 16, dsn, connect_timeout=5)

    def close(self) -> None:
        self._pool.closeall()

    def create(self, task: Task) -> Task:
        """Raises `Contradiction` when the id belongs to another photo; the same task again changes nothing."""
        try:
            with self._transaction() as cursor:
                cursor.execute(
                    "INSERT INTO tasks (task_id, helper_id, photo_url, ai_result, model_version)"
                    " VALUES (%s, %s, %s, %s, %s)",
                    (task.task_id, task.helper_id, task.photo_url, task.ai_result, task.model_version),
                )
        except UniqueViolation:
            known = self.get(task.task_id)
            if known.photo_url != task.photo_url:
                raise Contradiction(f"task {task.task_id} exists with another photo") from None
            return known
        return task

    def get(self, task_id: str) -> Task:
        with self._transaction() as cursor:
            return _find(cursor, task_id)

    def confirm(self, task_id: str, confirmation: Confirmation) -> Task:
        """Task row and event in one transaction; the same confirmation again makes no second event.

        Another final result is a correction of the first word: a new event, which supersedes the one before.
        Raises `NoSuchTask` or `Contradiction`.
        """
        with self._transaction() as cursor:
            task = _find(cursor, task_id, lock=True)
            _check(task, confirmation)
            if task.confirmed_at is not None and task.final_result == confirmation.final_result:
                return task
            at = _after(task.confirmed_at, datetime.now(UTC))
            cursor.execute(
                "UPDATE tasks SET final_result = %s, corrected = %s, correction_reason = %s, confirmed_at = %s"
                " WHERE task_id = %s",
                (confirmation.final_result, confirmation.corrected, confirmation.correction_reason, at, task_id),
            )
            event_id = str(uuid.uuid4())
            cursor.execute(
                "INSERT INTO outbox (id, payload) VALUES (%s, %s)",
                (event_id, Json(_event(task, confirmation, at) | self._audit(task_id), _dumps)),
            )
            return _find(cursor, task_id)

    def _audit(self, task_id: str) -> dict[str, bool]:
        """Decided by the task's id, so that a task is always blind, or never."""
        position = int.from_bytes(hashlib.sha256(f"blind {task_id}".encode()).digest()[:8], "big") / 2**64
        return {"blindAudit": True} if position < self._blind_audit_share else {}

    def unpublished(self, limit: int) -> list[tuple[str, dict[str, Any]]]:
        """Event ids and payloads, oldest first."""
        with self._transaction() as cursor:
            cursor.execute(
                "SELECT id, payload FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT %s", (limit,)
            )
            return cursor.fetchall()

    def mark_published(self, event_ids: list[str]) -> None:
        with self._transaction() as cursor:
            cursor.execute("UPDATE outbox SET published_at = now() WHERE id = ANY(%s)", (event_ids,))

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        connection = self._pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                yield cursor
        finally:
            # A connection that broke must not be handed out again.
            self._pool.putconn(connection, close=bool(connection.closed))


def _find(cursor: Cursor, task_id: str, *, lock: bool = False) -> Task:
    cursor.execute(_SELECT + (" FOR UPDATE" if lock else ""), (task_id,))
    row = cursor.fetchone()
    if row is None:
        raise NoSuchTask(f"no task {task_id[:128]!r}")
    return Task(*row)


def _check(task: Task, confirmation: Confirmation) -> None:
    if confirmation.ai_result != task.ai_result:
        raise Contradiction(f"the AI's verdict on {task.task_id} was {task.ai_result}, not {confirmation.ai_result}")
    if confirmation.corrected != (confirmation.final_result != confirmation.ai_result):
        raise Contradiction("corrected must say whether finalResult differs from aiResult")


def _after(before: datetime | None, now: datetime) -> datetime:
    """The last word is the one with the later time, whatever the clock did in between."""
    return now if before is None or now > before else before + timedelta(microseconds=1)


def _event(task: Task, confirmation: Confirmation, at: datetime) -> dict[str, Any]:
    return {
        "eventType": "TaskConfirmedEvent",
        "taskId": task.task_id,
        "helperId": task.helper_id,
        "finalResult": confirmation.final_result,
        "aiResult": confirmation.ai_result,
        "corrected": confirmation.corrected,
        "correctionReason": confirmation.correction_reason,
        "photoUrl": task.photo_url,
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        "modelVersion": task.model_version,
    }


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
