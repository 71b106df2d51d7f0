"""RewardConfirmationManager: tasks, confirmations, and the event that each causes (specification §2.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg2.errors import UniqueViolation
from psycopg2.extensions import cursor as Cursor

from include.helper_service.sampling import Sampling
from include.stand_in.confirming import Confirmation, Contradiction, confirmed_event, later_than
from include.stand_in.database import Database
from include.stand_in.outbox import add_event


class NoSuchTask(Exception):
    """The task id is unknown."""


@dataclass(frozen=True)
class Verdict:
    """What the model says of a photo; `confidence` 0-1 in the label, `reasons` what a correction would be about, the
    likeliest first.
    """

    label: str
    model_version: str
    confidence: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    task_id: str
    helper_id: str
    photo_url: str
    ai_result: str
    model_version: str | None
    confidence: float | None = None
    branch_id: str | None = None
    final_result: str | None = None
    corrected: bool | None = None
    correction_reason: str | None = None
    confirmed_at: datetime | None = None
    likeliest_reasons: Sequence[str] = ()


COLUMNS = (
    "task_id, helper_id, photo_url, ai_result, model_version, confidence, branch_id, final_result, corrected,"
    " correction_reason, confirmed_at, likeliest_reasons"
)


class Tasks:
    def __init__(self, database: Database, sampling: Sampling) -> None:
        self._database, self._sampling = database, sampling

    def create(self, task: Task) -> Task:
        """Raises `Contradiction` when the id belongs to another photo; the same task again changes nothing."""
        offered = self._sampling.is_offered(task.task_id, task.branch_id)
        try:
            with self._database.transaction() as cursor:
                cursor.execute(
                    "INSERT INTO tasks (task_id, helper_id, photo_url, ai_result, model_version, confidence, branch_id,"
                    " for_review, likeliest_reasons) VALUES (%(task_id)s, %(helper_id)s, %(photo_url)s, %(ai_result)s,"
                    " %(model_version)s, %(confidence)s, %(branch_id)s, %(offered)s, %(reasons)s)",
                    {**vars(task), "offered": offered, "reasons": list(task.likeliest_reasons)},
                )
        except UniqueViolation:
            known = self.get(task.task_id)
            if known.photo_url != task.photo_url:
                raise Contradiction(f"task {task.task_id} exists with another photo") from None
            return known
        return task

    def get(self, task_id: str) -> Task:
        with self._database.transaction() as cursor:
            return find(cursor, task_id)

    def confirm(self, task_id: str, confirmation: Confirmation) -> Task:
        """Task row and event in one transaction; the same confirmation again makes no second event.

        Another final result is a correction of the first word: a new event, which supersedes the one before. It
        replaces what was said on the review page so far, and nobody is asked for another opinion on that.
        Whoever confirms names the verdict, so this is never of the blind sample.
        Raises `NoSuchTask` or `Contradiction`.
        """
        with self._database.transaction() as cursor:
            task = find(cursor, task_id, lock=True)
            _check(task, confirmation)
            same = task.confirmed_at is not None and task.final_result == confirmation.final_result
            if not same:
                conclude(cursor, task, confirmation, datetime.now(UTC))
            if not (same and _was_direct(cursor, task_id, confirmation.final_result)):
                _replace_words(cursor, task_id, confirmation.final_result)
            return find(cursor, task_id)


def find(cursor: Cursor, task_id: str, *, lock: bool = False) -> Task:
    cursor.execute(f"SELECT {COLUMNS} FROM tasks WHERE task_id = %s{' FOR UPDATE' if lock else ''}", (task_id,))
    row = cursor.fetchone()
    if row is None:
        raise NoSuchTask(f"no task {task_id[:128]!r}")
    return Task(*row)


def conclude(cursor: Cursor, task: Task, said: Confirmation, at: datetime, **extra: Any) -> None:
    """The task's result from now on, and the event that tells of it; `extra` are fields of how it was said."""
    at = later_than(task.confirmed_at, at)
    cursor.execute(
        "UPDATE tasks SET final_result = %s, corrected = %s, correction_reason = %s, confirmed_at = %s"
        " WHERE task_id = %s",
        (said.final_result, said.corrected, said.correction_reason, at, task.task_id),
    )
    add_event(cursor, {**confirmed_event(task, said, at), **extra, **_beside(task)})


def _was_direct(cursor: Cursor, task_id: str, result: str) -> bool:
    """Whether the same was confirmed past the review page before, so that this is a repeated request."""
    cursor.execute("SELECT direct_result = %s FROM tasks WHERE task_id = %s", (result, task_id))
    ((said,),) = cursor.fetchall()
    return bool(said)


def _replace_words(cursor: Cursor, task_id: str, result: str) -> None:
    # The statement's time: the transaction's is earlier than that of a word it waited for.
    cursor.execute(
        "UPDATE tasks SET direct_result = %s, direct_at = clock_timestamp() WHERE task_id = %s", (result, task_id)
    )
    cursor.execute("DELETE FROM opinions_wanted WHERE task_id = %s", (task_id,))


def _check(task: Task, confirmation: Confirmation) -> None:
    if confirmation.ai_result != task.ai_result:
        raise Contradiction(f"the AI's verdict on {task.task_id} was {task.ai_result}, not {confirmation.ai_result}")
    if confirmation.corrected != (confirmation.final_result != confirmation.ai_result):
        raise Contradiction("corrected must say whether finalResult differs from aiResult")


def _beside(task: Task) -> dict[str, Any]:
    """Fields beyond the specification: whose photo it is, and how sure the AI was."""
    known = {"branchId": task.branch_id, "confidence": task.confidence}
    return {name: value for name, value in known.items() if value is not None}
