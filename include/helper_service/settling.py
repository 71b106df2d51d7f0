"""A reviewer's word that can no longer be taken back becomes the task's result, or a second opinion on it."""

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg2.extensions import cursor as Cursor

from include.contract.tracing import OFF, Traces
from include.helper_service.opinions import standing
from include.helper_service.sampling import Sampling
from include.helper_service.tasks import Task, conclude, find
from include.stand_in.background import AWAY, Background
from include.stand_in.confirming import Confirmation
from include.stand_in.database import Database

log = logging.getLogger(__name__)

# Locked words are being taken back, or settled by another process.
_DUE = """
    SELECT id FROM reviews WHERE settled_at IS NULL AND leaves_at <= now() AND id <> ALL(%s)
    ORDER BY leaves_at, said_at, id LIMIT 1 FOR UPDATE SKIP LOCKED"""
_SAID = """
    SELECT id, task_id, reviewer_id, verdict_hidden, final_result, reason, review_seconds, shown_at, said_at,
        traceparent
    FROM reviews WHERE id = %s"""


@dataclass(frozen=True)
class _Word:
    review_id: str
    task_id: str
    reviewer_id: str
    verdict_hidden: bool
    final_result: str
    reason: str | None
    seconds: float
    shown_at: datetime
    said_at: datetime
    traceparent: str | None

    @property
    def extra(self) -> dict[str, Any]:
        """Fields of the event that the specification does not know."""
        return {
            "reviewerId": self.reviewer_id,
            "reviewSeconds": round(self.seconds, 1),
            "shownAt": self.shown_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        }


class Settling(Background):
    """Killed anywhere, it has settled all of a word or nothing.

    `set_aside` are words that cannot be settled; they hold no other one up, and are tried again after a restart.
    """

    name = "settling"

    def __init__(self, database: Database, sampling: Sampling, traces: Traces = OFF) -> None:
        super().__init__()
        self._database, self._sampling, self._traces = database, sampling, traces
        self.set_aside: list[str] = []

    def settle_next(self) -> bool:
        """One word; False when none is due."""
        due = None
        try:
            with self._database.transaction() as cursor:
                cursor.execute(_DUE, (self.set_aside,))
                if (due := cursor.fetchone()) is not None:
                    cursor.execute(_SAID, due)
                    ((*said,),) = cursor.fetchall()
                    self._settle(cursor, _Word(*said))
        except AWAY:
            raise
        except Exception:
            if due is None:
                raise
            log.exception("word %s cannot be settled and is set aside", due[0])
            self.set_aside.append(due[0])
        return due is not None

    def _work(self) -> None:
        while self.settle_next() and not self._stop.is_set():
            pass

    def _settle(self, cursor: Cursor, word: _Word) -> None:
        task = find(cursor, word.task_id, lock=True)
        if not _was_replaced(cursor, word):
            with self._traces.span("settle", word.traceparent) if word.traceparent else nullcontext():
                self._count(cursor, task, word)
        cursor.execute("UPDATE reviews SET settled_at = clock_timestamp() WHERE id = %s", (word.review_id,))

    def _count(self, cursor: Cursor, task: Task, word: _Word) -> None:
        directly, earlier = _earlier(cursor, task)
        stands = standing(words := [*earlier, word.final_result])
        if stands.result != task.final_result:
            # After a word of somebody who saw the verdict only those that overrule it would be counted.
            drawn = word.verdict_hidden and not directly and self._sampling.is_blind(task.task_id)
            _conclude(cursor, task, word, {"blindAudit": True} if drawn else {})
        which = "third" if stands.disputed else "second"
        if stands.disputed or (len(words) == 1 and self._sampling.wants_second_opinion(task.task_id)):
            cursor.execute(
                "INSERT INTO opinions_wanted (task_id, which, since) VALUES (%s, %s, now())"
                " ON CONFLICT (task_id) DO UPDATE SET which = EXCLUDED.which, since = EXCLUDED.since",
                (task.task_id, which),
            )
        else:
            cursor.execute("DELETE FROM opinions_wanted WHERE task_id = %s", (task.task_id,))


def _conclude(cursor: Cursor, task: Task, word: _Word, audit: Mapping[str, Any]) -> None:
    """Makes this word the task's result: it has turned the balance, so it says what stands now."""
    corrected = word.final_result != task.ai_result
    said = Confirmation(word.final_result, task.ai_result, corrected, word.reason if corrected else None)
    conclude(cursor, task, said, word.said_at, **audit, **word.extra)


def _was_replaced(cursor: Cursor, word: _Word) -> bool:
    """Whether somebody confirmed the task past the page after this word."""
    cursor.execute("SELECT direct_at >= %s FROM tasks WHERE task_id = %s", (word.said_at, word.task_id))
    ((replaced,),) = cursor.fetchall()
    return bool(replaced)


def _earlier(cursor: Cursor, task: Task) -> tuple[bool, list[str]]:
    """Whether the task was confirmed past the page, and the words that settled before, oldest first. What was confirmed
    past the page comes instead of those before it.
    """
    cursor.execute("SELECT direct_result, direct_at FROM tasks WHERE task_id = %s", (task.task_id,))
    ((directly, at),) = cursor.fetchall()
    cursor.execute(
        "SELECT final_result FROM reviews WHERE task_id = %s AND settled_at IS NOT NULL"
        " AND said_at > COALESCE(%s, '-infinity'::timestamptz)"
        " ORDER BY settled_at, said_at",
        (task.task_id, at),
    )
    words = [final_result for (final_result,) in cursor.fetchall()]
    return directly is not None, words if directly is None else [directly, *words]
