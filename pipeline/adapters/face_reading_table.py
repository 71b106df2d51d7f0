"""Table `face_readings`: what the monitor saw of face champions."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.faces.looks import FaceLook, SeenRate
from pipeline.domain.faces.watching import FaceState
from pipeline.domain.live_accuracy import Period

_OF_RATE = ("failed", "checks", "people", "low", "high")
_RATES = ("refused", "accepted", "unnamed", "misnamed")
_SAID = ("version", "at", "state", "reason", "decision")
_COLUMNS = ", ".join((*_SAID, *(f"{rate}_{part}" for rate in _RATES for part in _OF_RATE)))
_SPAN = "floor(extract(epoch FROM at - %(since)s) / %(span_seconds)s)"
# The last look of each span: a chart needs no more points than a screen has.
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
                f"INSERT INTO face_readings ({_COLUMNS}) VALUES ({', '.join(['%s'] * len(_COLUMNS.split(', ')))})",
                (*said, *(part for rate in _RATES for part in astuple(look.rates[rate]))),
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

    def forget(self, *, before: datetime, dry_run: bool) -> int:
        return self._database.deleted("face_readings", "at < %s", (before,), dry_run=dry_run)


def _look(row: Sequence[Any]) -> FaceLook:
    version, at, state, reason, decision, *parts = row
    refused, accepted, *of_sought = (SeenRate(*five) for five in _of_each(parts, len(_OF_RATE)))
    return FaceLook(version, at, FaceState(state), reason, refused, accepted, decision, *of_sought)


def _of_each(parts: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (parts[start : start + size] for start in range(0, len(parts), size))
