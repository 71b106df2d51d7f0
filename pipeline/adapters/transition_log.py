"""Table `transitions`: the append-only log behind every ledger, with compare-and-swap on its length (ADR 0004)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from psycopg2.errors import LockNotAvailable, UniqueViolation
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.outbox_table import insert_event
from pipeline.domain.blessing import OverrideKind
from pipeline.domain.errors import StaleTransition
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType, Status
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.transitions import (
    Archive,
    By,
    CanaryAbort,
    CanaryStart,
    ChampionChange,
    Entry,
    FreezeCleared,
    Kind,
    Phase,
    Restore,
    Transition,
)

_ASK_AGAIN_SECONDS = 15
_COLUMNS = (
    "id, phase, kind, from_version, to_version, actor, reason, request_id, blessing_id, trial_id, requested_at, at,"
    " detail"
)
_READ = f"SELECT {_COLUMNS} FROM transitions WHERE model_type = %s ORDER BY entry"
_INSERT = """
    INSERT INTO transitions (model_type, entry, position, id, phase, kind, from_version, to_version, expected_current,
                             actor, reason, request_id, blessing_id, trial_id, requested_at, at, confirmed_served_at,
                             detail)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
# A version that was forced and serves gets its override beside the verdict.
_OVERRIDE = f"""
    INSERT INTO blessing_overrides (run_id, kind, actor, reason, decided_at)
    SELECT b.run_id, '{OverrideKind.FORCED}', t.actor, t.reason, t.requested_at
    FROM transitions t JOIN blessings b ON b.id = t.blessing_id
    WHERE t.model_type = %s AND t.entry > %s AND t.phase = '{Phase.SERVED}' AND t.kind = '{Kind.FORCED}'
    ON CONFLICT DO NOTHING"""
# Whoever writes rows locks them first and reads them and the log afterwards, so that the newest log has the last word.
_TAKE_ROWS = "SELECT version FROM model_versions WHERE model_type = %s ORDER BY version FOR UPDATE"
# Only rows that differ are written; a version that the log does not name is a candidate.
_PROJECT = f"""
    UPDATE model_versions v SET status = r.status, deployed_at = r.deployed_at, previous_version = r.previous_version
    FROM (
        SELECT m.version, COALESCE(k.status, '{Status.CANDIDATE}') AS status, k.deployed_at, k.previous_version
        FROM model_versions m
        LEFT JOIN (VALUES %s) AS k (version, status, deployed_at, previous_version) USING (version)
        WHERE m.model_type = {{model_type}}
    ) r
    WHERE v.model_type = {{model_type}} AND v.version = r.version
      AND (v.status, v.deployed_at, v.previous_version)
          IS DISTINCT FROM (r.status, r.deployed_at, r.previous_version)
    RETURNING v.version"""
_ROW = "(%s, %s, %s::timestamptz, %s)"


class TransitionLog:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def ledger(self, model_type: ModelType) -> Ledger:
        with self._database.transaction() as cursor:
            return _ledger(cursor, model_type)

    def append(self, ledger: Ledger, *entries: Entry, events: Sequence[OutgoingEvent] = ()) -> Ledger:
        after = ledger.followed_by(*entries)
        try:
            with self._database.transaction() as cursor:
                _insert(cursor, ledger, entries)
                cursor.execute(_TAKE_ROWS, (ledger.model_type,))
                _project(cursor, after)
                cursor.execute(_OVERRIDE, (ledger.model_type, ledger.position))
                for event in events:
                    insert_event(cursor, event)
        except UniqueViolation:
            raise StaleTransition(
                f"something else happened to the {ledger.model_type} model meanwhile: look at "
                f"`python -m pipeline history --model-type {ledger.model_type}` and ask again"
            ) from None
        return after

    def project(self, model_type: ModelType) -> Sequence[str]:
        with self._database.transaction() as cursor:
            cursor.execute(_TAKE_ROWS, (model_type,))
            return _project(cursor, _ledger(cursor, model_type))

    @contextmanager
    def exclusive(self, model_type: ModelType) -> Iterator[None]:
        with self._locked(f"champion of {model_type}"):
            yield

    @contextmanager
    def preparing(self, model_type: ModelType) -> Iterator[None]:
        with self._locked(f"deployment of {model_type}"):
            yield

    @contextmanager
    def moving_files(self, model_type: ModelType) -> Iterator[None]:
        with self._locked(f"files of {model_type}"):
            yield

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with self._database.connection() as connection:
            # The lock ends with the session: a killed process never keeps it, and the database asks after a machine
            # that is gone, because an emergency waits here.
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5")
                cursor.execute("SET tcp_keepalives_count = 3")
                _wait_for(cursor, name)
            yield


def _wait_for(cursor: Cursor, name: str) -> None:
    """Waits as long as it takes. It asks again and again, to tell a held lock from a database that fell silent, and
    because a process that is told to end hears it only between two queries. That costs its place in the queue, which is
    short.
    """
    cursor.execute("SET lock_timeout = %s", (f"{_ASK_AGAIN_SECONDS}s",))
    while True:
        with suppress(LockNotAvailable):
            cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", (name,))
            return


@dataclass(frozen=True)
class _Kept:
    """One row of the table."""

    id: str
    phase: str
    kind: str
    from_version: str | None
    to_version: str
    actor: str
    reason: str
    request_id: str
    blessing_id: str | None
    trial_id: str | None
    requested_at: datetime
    at: datetime
    detail: str

    def entry(self, model_type: ModelType) -> Entry:
        return Entry(Phase(self.phase), self._act(model_type), self.at, self.detail)

    def _act(self, model_type: ModelType) -> Transition:
        by = By(self.actor, self.reason, self.request_id)
        of = (self.id, model_type, self.to_version, by, self.requested_at)
        kind, beside = Kind(self.kind), self.from_version or ""
        if kind is Kind.CANARY_START:
            return CanaryStart(*of, beside, self.blessing_id)
        if kind is Kind.CANARY_ABORT:
            return CanaryAbort(*of, beside, self.trial_id or "")
        if kind in _PLAIN:
            return _PLAIN[kind](*of)
        return ChampionChange(*of, kind, self.from_version, self.blessing_id)


_PLAIN: dict[Kind, type[FreezeCleared | Archive | Restore]] = {
    act.kind: act for act in (FreezeCleared, Archive, Restore)
}


def _ledger(cursor: Cursor, model_type: ModelType) -> Ledger:
    cursor.execute(_READ, (model_type,))
    return Ledger(model_type, tuple(_Kept(*row).entry(model_type) for row in cursor.fetchall()))


def _insert(cursor: Cursor, ledger: Ledger, entries: Sequence[Entry]) -> None:
    position = len(ledger.changes)
    for number, entry in enumerate(entries, start=ledger.position + 1):
        served = entry.phase is Phase.SERVED
        position += served
        cursor.execute(_INSERT, (ledger.model_type, number, position if served else None, *_values(entry)))


def _values(entry: Entry) -> tuple[object, ...]:
    act = entry.act
    by = (act.by.actor, act.by.reason, act.by.request_id)
    about = (getattr(act, "blessing_id", None), getattr(act, "trial_id", None))
    served_at = entry.at if entry.phase is Phase.SERVED else None
    when = (act.at, entry.at, served_at)
    return (act.id, entry.phase, act.kind, act.before, act.version, act.before, *by, *about, *when, entry.detail)


def _project(cursor: Cursor, ledger: Ledger) -> list[str]:
    """`model_versions` as the specification shows it: one ACTIVE version, with its predecessor."""
    rows = [(v, row.status, row.deployed_at, row.previous_version) for v, row in ledger.rows.items()]
    if not rows:
        return []
    sql = _PROJECT.format(model_type=cursor.mogrify("%s", (ledger.model_type,)).decode())
    return sorted(row[0] for row in execute_values(cursor, sql, rows, _ROW, page_size=len(rows), fetch=True))
