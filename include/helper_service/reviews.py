"""Reviews on the page: who is shown what, what may be taken back, and what a word becomes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg2.errors import UniqueViolation
from psycopg2.extensions import cursor as Cursor

from include.contract.tracing import traceparent
from include.helper_service.sampling import Sampling
from include.helper_service.tasks import COLUMNS, Task, find
from include.stand_in.confirming import Contradiction
from include.stand_in.database import Database


class NoSuchReview(Exception):
    """The reviewer said no such word."""


class OfAnotherBranch(Exception):
    """The task is not of the reviewer's branch."""


class DayIsFull(Exception):
    """The branch has said all its words of today."""


@dataclass(frozen=True)
class Reviewer:
    """`branch_id` None sees the tasks of every branch."""

    reviewer_id: str
    branch_id: str | None = None


@dataclass(frozen=True)
class Said:
    """One person's word on one task; `seconds` is how long the photo was in sight, from `shown_at` on."""

    final_result: str
    reason: str | None
    seconds: float
    shown_at: datetime


@dataclass(frozen=True)
class Offer:
    """`opinion` is `first`, `second` or `third`; with `verdict_hidden` the reviewer shall not know what the AI said."""

    task: Task
    opinion: str
    verdict_hidden: bool


@dataclass(frozen=True)
class Progress:
    """`waiting` are tasks that this reviewer can be shown; a day's counts begin anew at midnight."""

    waiting: int
    reviewed_today: int
    corrected_today: int
    branch_today: int
    branch_most: int


@dataclass(frozen=True)
class Review:
    """`corrected` is None while the reviewer shall not know what the AI said."""

    review_id: str
    leaves_at: datetime
    corrected: bool | None


_OF_THE_BRANCH = "(%(branch_id)s::text IS NULL OR branch_id IS NULL OR branch_id = %(branch_id)s)"
_OPINIONS = f"""
    FROM opinions_wanted JOIN tasks USING (task_id)
    WHERE {_OF_THE_BRANCH}
      AND NOT EXISTS (SELECT FROM reviews r WHERE r.task_id = tasks.task_id
                      AND (r.reviewer_id = %(reviewer_id)s OR r.settled_at IS NULL))
      AND task_id <> ALL(%(besides)s)"""
_OPEN = f"""
    FROM tasks
    WHERE confirmed_at IS NULL AND for_review
      AND {_OF_THE_BRANCH}
      AND NOT EXISTS (SELECT FROM reviews r WHERE r.task_id = tasks.task_id)
      AND task_id <> ALL(%(besides)s)"""
_TODAY = """
    SELECT count(*) FILTER (WHERE reviewer_id = %(reviewer_id)s),
           count(*) FILTER (WHERE reviewer_id = %(reviewer_id)s AND r.final_result <> ai_result AND NOT verdict_hidden),
           count(*) FILTER (WHERE r.branch_id IS NOT DISTINCT FROM %(branch_id)s)
    FROM reviews r JOIN tasks USING (task_id) WHERE said_at >= %(day)s"""


class Reviews:
    def __init__(self, database: Database, sampling: Sampling, *, undo_seconds: float) -> None:
        self._database, self._sampling = database, sampling
        self._undo = timedelta(seconds=undo_seconds)

    def queue(self, who: Reviewer, *, limit: int, besides: Sequence[str] = ()) -> list[Offer]:
        """Tasks that people disagree on come first, then second opinions, then what nobody has seen, oldest first.

        What the branch said today and what lies on the desk already, `besides`, is of its number for the day; of other
        desks of the branch nobody knows what lies there, so `say` counts as well.
        """
        values = {**vars(who), "besides": list(besides), "limit": limit}
        with self._database.transaction() as cursor:
            today = self._today(cursor, who)
            limit = min(limit, self._sampling.most_a_day(who.branch_id) - today[2] - len(set(besides)))
            if limit <= 0:
                return []
            cursor.execute(
                f"SELECT which, {COLUMNS} {_OPINIONS} ORDER BY which DESC, since, task_id LIMIT %(limit)s", values
            )
            opinions = [Offer(Task(*row), which, verdict_hidden=True) for which, *row in cursor.fetchall()]
            cursor.execute(f"SELECT {COLUMNS} {_OPEN} ORDER BY created_at, task_id LIMIT %(limit)s", values)
            tasks = [Task(*row) for row in cursor.fetchall()]
        return [*opinions, *(Offer(t, "first", self._sampling.is_blind(t.task_id)) for t in tasks)][:limit]

    def progress(self, who: Reviewer) -> Progress:
        values = {**vars(who), "besides": []}
        with self._database.transaction() as cursor:
            cursor.execute(f"SELECT (SELECT count(*) {_OPINIONS}) + (SELECT count(*) {_OPEN})", values)
            ((waiting,),) = cursor.fetchall()
            reviewed, corrected, branch = self._today(cursor, who)
        return Progress(waiting, reviewed, corrected, branch, self._sampling.most_a_day(who.branch_id))

    def say(self, task_id: str, who: Reviewer, said: Said) -> Review:
        """The same word of the same person again is one word. Raises `NoSuchTask`, `OfAnotherBranch`,
        `Contradiction`, or `DayIsFull`.
        """
        try:
            with self._database.transaction() as cursor:
                return self._say(cursor, find(cursor, task_id, lock=True), who, said)
        except UniqueViolation:
            return self._said_before(task_id, who, said)

    def take_back(self, review_id: str, reviewer_id: str) -> None:
        """Raises `NoSuchReview`, or `Contradiction` when the word has left already."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT settled_at IS NULL FROM reviews WHERE id = %s AND reviewer_id = %s FOR UPDATE",
                (review_id, reviewer_id),
            )
            found = cursor.fetchone()
            if found is None:
                raise NoSuchReview(f"{reviewer_id} said no word {review_id[:64]!r}, or took it back")
            if not found[0]:
                raise Contradiction("the word has left: confirm the task again to change it")
            cursor.execute("DELETE FROM reviews WHERE id = %s", (review_id,))

    def _today(self, cursor: Cursor, who: Reviewer) -> tuple[int, int, int]:
        """Counts of today: the reviewer's words, their corrections of verdicts that were visible, and the branch's
        words.
        """
        cursor.execute(_TODAY, {**vars(who), "day": self._sampling.day_of(datetime.now(UTC))})
        ((reviewed, corrected, branch),) = cursor.fetchall()
        return reviewed, corrected, branch

    def _say(self, cursor: Cursor, task: Task, who: Reviewer, said: Said) -> Review:
        _demand_of_the_branch(cursor, task, who)
        # Locked before anything is stored, so that desks of one branch take the last places of a day one after the
        # other.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"day of branch {who.branch_id}",))
        cursor.execute("SELECT count(*) FROM reviews WHERE task_id = %s", (task.task_id,))
        ((others,),) = cursor.fetchall()
        hidden = bool(others) or task.confirmed_at is not None or self._sampling.is_blind(task.task_id)
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            **vars(who),
            **vars(said),
            "id": str(uuid.uuid4()),
            "task_id": task.task_id,
            "hidden": hidden,
            "now": now,
            "leaves_at": now + self._undo,
            "traceparent": traceparent(),
        }
        cursor.execute(
            "INSERT INTO reviews (id, task_id, reviewer_id, branch_id, final_result, reason, verdict_hidden,"
            " review_seconds, shown_at, said_at, leaves_at, traceparent) VALUES (%(id)s, %(task_id)s, %(reviewer_id)s,"
            " %(branch_id)s, %(final_result)s, %(reason)s, %(hidden)s, %(seconds)s, %(shown_at)s, %(now)s,"
            " %(leaves_at)s, %(traceparent)s)",
            values,
        )
        self._demand_room(cursor, who)
        return Review(values["id"], values["leaves_at"], None if hidden else said.final_result != task.ai_result)

    def _demand_room(self, cursor: Cursor, who: Reviewer) -> None:
        """Checked after the word is written: a word that was said before needs no place."""
        most, (*_, said) = self._sampling.most_a_day(who.branch_id), self._today(cursor, who)
        if said > most:
            raise DayIsFull(f"your branch has had all its photos for today ({most}): go on tomorrow")

    def _said_before(self, task_id: str, who: Reviewer, said: Said) -> Review:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT r.id, r.leaves_at, CASE WHEN NOT verdict_hidden THEN r.final_result <> t.ai_result END,"
                " r.final_result FROM reviews r JOIN tasks t USING (task_id) WHERE task_id = %s AND reviewer_id = %s",
                (task_id, who.reviewer_id),
            )
            found = cursor.fetchone()
        if found is None or found[3] != said.final_result:
            raise Contradiction(f"{who.reviewer_id} said something else of {task_id}: undo that first")
        return Review(*found[:3])


def _demand_of_the_branch(cursor: Cursor, task: Task, who: Reviewer) -> None:
    cursor.execute(
        f"SELECT {_OF_THE_BRANCH} FROM tasks WHERE task_id = %(task_id)s", {**vars(who), "task_id": task.task_id}
    )
    ((theirs,),) = cursor.fetchall()
    if not theirs:
        raise OfAnotherBranch(f"{task.task_id} is a photo of another branch than {who.branch_id}")
