"""Table `face_readings`: what the monitor saw of face champions."""

from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.faces.looks import FaceLook, SeenRate
from pipeline.domain.faces.watching import FaceState
from pipeline.domain.live_accuracy import Period

_COLUMNS = (
    "version, at, state, reason, decision,"
    " refused_failed, refused_checks, refused_people, refused_low, refused_high,"
    " accepted_failed, accepted_checks, accepted_people, accepted_low, accepted_high"
)
_REFUSED, _ACCEPTED = slice(5, 10), slice(10, 15)
_SPAN = "floor(extract(epoch FROM at - %(since)s) / %(span_seconds)s)"
# Of each span the last look: the lines of a chart need no more points than a screen has.
_WITHIN = f"""
    SELECT DISTINCT ON ({_SPAN}) {_COLUMNS} FROM face_readings WHERE at > %(since)s AND at <= %(until)s
    ORDER BY {_SPAN}, at DESC, id DESC"""


class FaceReadingTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def record(self, look: FaceLook) -> None:
        said = (look.version, look.at, look.state, look.reason, look.decision)
        with self._database.transaction() as cursor:
            cursor.execute(
                f"INSERT INTO face_readings ({_COLUMNS}) VALUES ({', '.join(['%s'] * 15)})",
                (*said, *astuple(look.refused), *astuple(look.accepted)),
            )

    def last(self) -> FaceLook | None:
        with self._database.transaction() as cursor:
            cursor.execute(f"SELECT {_COLUMNS} FROM face_readings ORDER BY at DESC, id DESC LIMIT 1")
            row = cursor.fetchone()
        return _look(row) if row else None

    def within(self, period: Period, *, most: int) -> Sequence[FaceLook]:
        span = (period.until - period.since).total_seconds() / most
        values = {"since": period.since, "until": period.until, "span_seconds": span}
        with self._database.transaction() as cursor:
            cursor.execute(_WITHIN, values)
            return [_look(row) for row in cursor.fetchall()]

    def forget(self, before: datetime) -> int:
        with self._database.transaction() as cursor:
            cursor.execute("DELETE FROM face_readings WHERE at < %s", (before,))
            return cursor.rowcount


def _look(row: Sequence[Any]) -> FaceLook:
    version, at, state, reason, decision, *_ = row
    rates = SeenRate(*row[_REFUSED]), SeenRate(*row[_ACCEPTED])
    return FaceLook(version, at, FaceState(state), reason, *rates, decision)
