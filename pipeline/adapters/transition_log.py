"""Table `transitions`: append-only truth about the champion, with compare-and-swap (design D13)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg2.errors import UniqueViolation
from psycopg2.extensions import cursor as Cursor

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.outbox_table import insert_event
from pipeline.domain.errors import PromotionFrozen, StaleTransition
from pipeline.domain.model_events import OutgoingEvent
from pipeline.domain.models import (
    ROLLBACKS,
    FailedChange,
    Kind,
    ModelType,
    Status,
    Transition,
    frozen_by,
    frozen_sentence,
)

_INSERT = """
    INSERT INTO transitions (id, phase, model_type, kind, from_version, to_version, expected_current, position, actor,
                             reason, blessing_id, requested_at, confirmed_served_at, detail)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_COLUMNS = (
    "id, model_type, kind, from_version, to_version, expected_current, actor, reason, blessing_id, requested_at,"
    " confirmed_served_at"
)
_SERVED = f"SELECT {_COLUMNS} FROM transitions WHERE model_type = %s AND phase = 'served' ORDER BY position"
_FACTS = f"SELECT {_COLUMNS} FROM transitions WHERE model_type = %s AND phase IN ('served', 'noted') ORDER BY seq"
_LATEST = f"""
    SELECT {_COLUMNS}, phase, detail FROM transitions
    WHERE model_type = %s AND phase IN ('served', 'failed') ORDER BY seq DESC LIMIT 1"""
_STATUS_OF_NOTE = {
    Kind.CANARY_START: Status.CANARY,
    Kind.CANARY_ABORT: Status.RETIRED,
    Kind.ARCHIVE: Status.ARCHIVED,
    Kind.RESTORE: Status.RETIRED,
}


# Only what contradicts the log: a row that says it serves, or one that served and is called a candidate.
_STATUSES = """
    UPDATE model_versions v SET status = CASE WHEN v.version IN (SELECT to_version FROM ever) THEN %(retired)s
                                              ELSE %(candidate)s END
    WHERE v.model_type = %(model_type)s AND v.version <> %(champion)s
      AND (v.status = %(active)s OR v.status = %(candidate)s AND v.version IN (SELECT to_version FROM ever))
    RETURNING v.version"""
_EVER = "WITH ever AS (SELECT to_version FROM transitions WHERE model_type = %(model_type)s AND phase = 'served')"
_CHAMPION = """
    UPDATE model_versions SET status = %(active)s, deployed_at = %(at)s, previous_version = %(before)s
    WHERE model_type = %(model_type)s AND version = %(champion)s
      AND (status, deployed_at, previous_version) IS DISTINCT FROM (%(active)s, %(at)s, %(before)s)
    RETURNING version"""


class TransitionLog:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def served(self, model_type: ModelType) -> Sequence[Transition]:
        with self._database.transaction() as cursor:
            return _served(cursor, model_type)

    def facts(self, model_type: ModelType) -> Sequence[Transition]:
        with self._database.transaction() as cursor:
            return _facts(cursor, model_type)

    def latest_failure(self, model_type: ModelType) -> FailedChange | None:
        with self._database.transaction() as cursor:
            cursor.execute(_LATEST, (model_type,))
            row = cursor.fetchone()
        return FailedChange(_transition(row[:-2]), row[-1]) if row and row[-2] == "failed" else None

    def note(self, note: Transition, event: OutgoingEvent | None = None) -> None:
        try:
            with self._database.transaction() as cursor:
                _append(cursor, note, "noted", None, "")
                if note.kind in _STATUS_OF_NOTE:
                    cursor.execute(
                        "UPDATE model_versions SET status = %s WHERE model_type = %s AND version = %s",
                        (_STATUS_OF_NOTE[note.kind], note.model_type, note.to_version),
                    )
                if event is not None:
                    insert_event(cursor, event)
        except UniqueViolation:
            # Noted before: the earlier note stands, with its projection and its event.
            return

    def request(self, transition: Transition) -> None:
        with self._database.transaction() as cursor:
            freeze = frozen_by(_facts(cursor, transition.model_type))
            if freeze is not None and transition.kind not in ROLLBACKS:
                raise PromotionFrozen(frozen_sentence(freeze))
            _demand_current(_served(cursor, transition.model_type), transition)
            _append(cursor, transition, "requested", None, "")

    def confirm(self, transition: Transition, event: OutgoingEvent) -> None:
        try:
            with self._database.transaction() as cursor:
                served = _served(cursor, transition.model_type)
                if any(earlier.id == transition.id for earlier in served):
                    return
                _demand_current(served, transition)
                _append(cursor, transition, "served", len(served) + 1, "")
                _project(cursor, transition)
                insert_event(cursor, event)
        except UniqueViolation:
            raise StaleTransition(f"another change of champion came before {transition.to_version}") from None

    def fail(self, transition: Transition, reason: str) -> None:
        with self._database.transaction() as cursor:
            _append(cursor, transition, "failed", None, reason[:2000])

    def project(self, model_type: ModelType) -> Sequence[str]:
        with self._database.transaction() as cursor:
            served = _served(cursor, model_type)
            if not served:
                return []
            facts = {
                "model_type": model_type,
                "champion": served[-1].to_version,
                "at": served[-1].confirmed_served_at,
                "before": served[-1].from_version,
                "active": Status.ACTIVE,
                "retired": Status.RETIRED,
                "candidate": Status.CANDIDATE,
            }
            wrong: set[str] = set()
            for statement in (_EVER + _STATUSES, _CHAMPION):
                cursor.execute(statement, facts)
                wrong |= {row[0] for row in cursor.fetchall()}
            return sorted(wrong)

    @contextmanager
    def exclusive(self, model_type: ModelType) -> Iterator[None]:
        with self._database.connection() as connection:
            # The lock ends with the session: a killed process never keeps it. Waiting must not hit the time limit.
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = 0")
                cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", (f"champion of {model_type}",))
            yield


def _facts(cursor: Cursor, model_type: ModelType) -> list[Transition]:
    cursor.execute(_FACTS, (model_type,))
    return [_transition(row) for row in cursor.fetchall()]


def _served(cursor: Cursor, model_type: ModelType) -> list[Transition]:
    cursor.execute(_SERVED, (model_type,))
    return [_transition(row) for row in cursor.fetchall()]


def _demand_current(served: Sequence[Transition], transition: Transition) -> None:
    current = served[-1].to_version if served else None
    if current != transition.expected_current:
        raise StaleTransition(
            f"{transition.to_version} was planned against champion {transition.expected_current}, {current} serves now"
        )


def _append(cursor: Cursor, t: Transition, phase: str, position: int | None, detail: str) -> None:
    values = (t.id, phase, t.model_type, t.kind, t.from_version, t.to_version, t.expected_current, position)
    more = (t.actor, t.reason, t.blessing_id, t.requested_at, t.confirmed_served_at, detail)
    cursor.execute(_INSERT, (*values, *more))


def _project(cursor: Cursor, transition: Transition) -> None:
    """`model_versions` as the specification shows it: one ACTIVE version, with its predecessor."""
    cursor.execute(
        "UPDATE model_versions SET status = %s WHERE model_type = %s AND status IN (%s, %s) AND version <> %s",
        (Status.RETIRED, transition.model_type, Status.ACTIVE, Status.CANARY, transition.to_version),
    )
    cursor.execute(
        "UPDATE model_versions SET status = %s, deployed_at = %s, previous_version = %s"
        " WHERE model_type = %s AND version = %s",
        (
            Status.ACTIVE,
            transition.confirmed_served_at,
            transition.from_version,
            transition.model_type,
            transition.to_version,
        ),
    )


def _transition(row: tuple[Any, ...]) -> Transition:
    return Transition(row[0], ModelType(row[1]), Kind(row[2]), *row[3:])
