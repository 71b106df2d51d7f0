"""Who stood before a door, what the model answered, a person's word on that, and the event about it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from psycopg2.extensions import cursor as Cursor

from include.stand_in.confirming import Confirmation, Contradiction, confirmed_event, later_than
from include.stand_in.database import Database
from include.stand_in.outbox import add_event

SAME, DIFFERENT = "same", "different"


class NoSuchCheck(Exception):
    """The check id is unknown."""


@dataclass(frozen=True)
class Asked:
    """`claimed_identity` says who it is (1:1); None: who of all it is (1:N)."""

    check_id: str
    door_id: str
    photo_url: str
    claimed_identity: str | None = None
    branch_id: str | None = None


@dataclass(frozen=True)
class Answer:
    """`identity` is whom the photo was compared with, or who looks most like it; None where nobody is enrolled so.

    `score` is the cosine with that person, who it is taken for from `threshold` on.
    """

    identity: str | None
    score: float | None
    threshold: float
    model_version: str

    @property
    def ai_result(self) -> str:
        return SAME if self.score is not None and self.score >= self.threshold else DIFFERENT


@dataclass(frozen=True)
class Check:
    check_id: str
    door_id: str
    branch_id: str | None
    photo_url: str
    claimed_identity: str | None
    identity: str | None
    score: float | None
    threshold: float
    ai_result: str
    model_version: str
    final_result: str | None = None
    corrected: bool | None = None
    correction_reason: str | None = None
    confirmed_at: datetime | None = None
    shown_identity: str | None = None

    @property
    def task_id(self) -> str:
        return self.check_id

    @property
    def helper_id(self) -> str:
        return self.door_id


@dataclass(frozen=True)
class Word:
    """The word of a person who looked at a photo; `shown_identity` is who it really was, None where nobody knows."""

    final_result: str
    reviewer_id: str
    correction_reason: str | None = None
    shown_identity: str | None = None


_COLUMNS = ", ".join(Check.__dataclass_fields__)
_INSERT = f"""
    INSERT INTO checks ({_COLUMNS.partition(", final_result")[0]})
    VALUES (%(check_id)s, %(door_id)s, %(branch_id)s, %(photo_url)s, %(claimed_identity)s, %(identity)s, %(score)s,
        %(threshold)s, %(ai_result)s, %(model_version)s)
    ON CONFLICT (check_id) DO NOTHING"""


class Checks:
    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, asked: Asked) -> Check | None:
        """The answer to the same question asked before. Raises `Contradiction` when the id belongs to
        another question.
        """
        with self._database.transaction() as cursor:
            cursor.execute(f"SELECT {_COLUMNS} FROM checks WHERE check_id = %s", (asked.check_id,))
            row = cursor.fetchone()
        if row is None:
            return None
        check = Check(*row)
        if (check.photo_url, check.claimed_identity) != (asked.photo_url, asked.claimed_identity):
            raise Contradiction(f"check {asked.check_id} exists with another photo or another claim")
        return check

    def record(self, asked: Asked, answer: Answer) -> Check:
        """The first answer stands, whoever asks at the same time. Raises `Contradiction` as `known`."""
        with self._database.transaction() as cursor:
            cursor.execute(_INSERT, {**vars(asked), **vars(answer), "ai_result": answer.ai_result})
        check = self.known(asked)
        assert check is not None
        return check

    def get(self, check_id: str) -> Check:
        with self._database.transaction() as cursor:
            return _find(cursor, check_id)

    def confirm(self, check_id: str, word: Word) -> Check:
        """Row and event in one transaction; the same word again makes no second event, another one supersedes it.

        Raises `NoSuchCheck`, or `Contradiction` where there is nobody whom the photo could show, or where the word says
        two things at once.
        """
        with self._database.transaction() as cursor:
            check = _find(cursor, check_id, lock=True)
            if check.identity is None:
                raise Contradiction(f"check {check_id} was compared with nobody")
            shown = _instead(check, word) or _said_before(check, word)
            if (check.final_result, check.shown_identity) != (word.final_result, shown):
                _conclude(cursor, replace(check, shown_identity=shown), word)
            return _find(cursor, check_id)

    def forget(self, identity: str) -> int:
        """Deletes everything that was asked about this person, with its events; returns how many checks."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "DELETE FROM outbox WHERE %s IN (payload ->> 'identity', payload ->> 'shownIdentity')", (identity,)
            )
            # Somebody claimed before their enrolment, or after their withdrawal, is in no answer: the claim has to be
            # looked at, too.
            cursor.execute("DELETE FROM checks WHERE %s IN (identity, claimed_identity, shown_identity)", (identity,))
            return cursor.rowcount


def _find(cursor: Cursor, check_id: str, *, lock: bool = False) -> Check:
    cursor.execute(f"SELECT {_COLUMNS} FROM checks WHERE check_id = %s{' FOR UPDATE' if lock else ''}", (check_id,))
    row = cursor.fetchone()
    if row is None:
        raise NoSuchCheck(f"no check {check_id[:128]!r}")
    return Check(*row)


def _instead(check: Check, word: Word) -> str | None:
    """The person whom the photo shows instead of the one in the answer; None where nobody is named."""
    shown = word.shown_identity
    if shown is not None and (shown == check.identity) != (word.final_result == SAME):
        raise Contradiction(f"{word.final_result} says otherwise than that check {check.check_id} shows {shown}")
    return None if shown == check.identity else shown


def _said_before(check: Check, word: Word) -> str | None:
    """The name that was given before, where the same is said again: repeating a word without a name does not take it
    back.
    """
    return check.shown_identity if word.final_result == check.final_result else None


def _conclude(cursor: Cursor, check: Check, word: Word) -> None:
    at, corrected = later_than(check.confirmed_at, datetime.now(UTC)), word.final_result != check.ai_result
    said = Confirmation(word.final_result, check.ai_result, corrected, word.correction_reason if corrected else None)
    cursor.execute(
        "UPDATE checks SET final_result = %s, corrected = %s, correction_reason = %s, confirmed_at = %s,"
        " reviewer_id = %s, shown_identity = %s WHERE check_id = %s",
        (
            *(said.final_result, said.corrected, said.correction_reason, at),
            *(word.reviewer_id, check.shown_identity, check.check_id),
        ),
    )
    add_event(cursor, {**confirmed_event(check, said, at), **_of_a_face(check), "reviewerId": word.reviewer_id})


def _of_a_face(check: Check) -> dict[str, Any]:
    """Fields beyond the specification's event: which model it was about, and who is who."""
    known = {
        "modelType": "FACE",
        "identity": check.identity,
        "claimedIdentity": check.claimed_identity,
        "shownIdentity": check.shown_identity,
        "score": check.score,
        "threshold": check.threshold,
        "branchId": check.branch_id,
    }
    return {name: value for name, value in known.items() if value is not None}
