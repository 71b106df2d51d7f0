"""The dashboard's queries on tables that others write: each reads a few rows of an index, however large the table."""

from collections.abc import Sequence
from typing import Any

from pipeline.adapters.blessing_table import blessing_from_json
from pipeline.adapters.training_table import result_from_json
from pipeline.adapters.version_table import COLUMNS, version_of
from pipeline.adapters.voice_table import VoiceTable
from pipeline.domain.live_accuracy import Period, State
from pipeline.domain.models import ModelType
from pipeline.domain.overview import Answer, Judged, Page, Sighting, Unpublished

_SEEN = (
    "at, version, state, confirmed, accuracy, low, high, blind_confirmed, blind_agreed, decision"
    " FROM live_accuracy_readings WHERE model_type = %(model_type)s"
)
_LAST = f"SELECT {_SEEN} ORDER BY at DESC LIMIT 1"
# The last look of each span: a chart needs no more points than a screen has.
_WITHIN = f"""
    SELECT DISTINCT ON (floor(extract(epoch FROM at - %(since)s) / %(span_seconds)s)) {_SEEN}
        AND at > %(since)s AND at <= %(until)s
    ORDER BY floor(extract(epoch FROM at - %(since)s) / %(span_seconds)s), at DESC"""
_ANSWERS = """
    SELECT decided_at, due, rule, reason, asked_by FROM retraining_decisions WHERE model_type = %s
    ORDER BY decided_at DESC LIMIT %s"""
_OF_RUNS = ", ".join(f"v.{column.strip()}" for column in COLUMNS.split(","))
# A refused model has a verdict and no number, one of an earlier release may have a number and no verdict.
_PAGE = f"""
    WITH judged AS (
        SELECT run_id, COALESCE(b.decided_at, v.registered_at) AS at FROM model_versions v
        FULL JOIN blessings b USING (run_id)
        WHERE COALESCE(v.model_type, b.model_type) = %(model_type)s
            AND (%(version)s::text IS NULL OR v.version = %(version)s)
        ORDER BY at DESC, run_id LIMIT %(most)s OFFSET %(skip)s)
    SELECT j.run_id, j.at, r.result, b.verdict, o.run_id, o.kind, o.actor, o.reason, o.decided_at, {_OF_RUNS}
    FROM judged j
    LEFT JOIN model_versions v USING (run_id) LEFT JOIN blessings b USING (run_id)
    LEFT JOIN standing_overrides o USING (run_id) LEFT JOIN training_results r USING (run_id)
    ORDER BY j.at DESC, j.run_id"""
_OVERRIDE = slice(4, 9)


class SightingTable(VoiceTable):
    def last(self, model_type: ModelType) -> Sighting | None:
        rows = self._rows(_LAST, {"model_type": model_type})
        return _sighting(rows[0]) if rows else None

    def within(self, model_type: ModelType, period: Period, *, most: int) -> Sequence[Sighting]:
        span = (period.until - period.since).total_seconds() / most
        about = {"model_type": model_type, "since": period.since, "until": period.until, "span_seconds": span}
        return [_sighting(row) for row in self._rows(_WITHIN, about)]

    def answers(self, model_type: ModelType, *, most: int) -> Sequence[Answer]:
        return [Answer(*row) for row in self._rows(_ANSWERS, (model_type, most))]

    def unpublished(self) -> Unpublished:
        return Unpublished(
            *self._rows("SELECT count(*), min(created_at) FROM outbox WHERE published_at IS NULL", ())[0]
        )

    def page(self, model_type: ModelType, *, most: int, skip: int) -> Page:
        found = self._judged({"model_type": model_type, "version": None, "most": most + 1, "skip": skip})
        return Page(found[:most], more=len(found) > most)

    def judged(self, model_type: ModelType, version: str) -> Judged | None:
        found = self._judged({"model_type": model_type, "version": version, "most": 1, "skip": 0})
        return found[0] if found else None

    def _judged(self, values: dict[str, Any]) -> list[Judged]:
        return [_judged(row) for row in self._rows(_PAGE, values)]


def _sighting(row: Sequence[Any]) -> Sighting:
    at, version, state, *figures = row
    return Sighting(at, version, State(state), *figures)


def _judged(row: Sequence[Any]) -> Judged:
    run_id, at, result, verdict, *_ = row
    version = row[_OVERRIDE.stop :]
    return Judged(
        run_id,
        at,
        version_of(version) if version[0] is not None else None,
        blessing_from_json(verdict, row[_OVERRIDE]) if verdict else None,
        result_from_json(result) if result else None,
    )
