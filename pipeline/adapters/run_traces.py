"""A retraining as one trace, whose ids are made of its run id.

So every task, child process, pod and new try of it finds the trace by itself: nothing has to be handed on, which
Airflow cannot do between tasks, and a run that goes on after a crash stays in its trace.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.trace import Span

from include.contract.tracing import Ids, Traces, context_of, sampled, traceparent, traces_of
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.errors import TryAgain

log = logging.getLogger(__name__)

SERVICE = "retraining"
# OpenTelemetry keeps as many links of a span, unless it is told otherwise.
MOST_LINKS = 128

_OF_DATASET = "SELECT run_id FROM datasets WHERE dataset_id = %s"
_OF_VERSION = "SELECT run_id FROM model_versions WHERE model_type = %s AND version = %s"
# Links to the newest corrections only; replayed verdicts did not begin the run.
_CORRECTIONS = """
    SELECT c.traceparent FROM dataset_photos p JOIN task_confirmations c USING (task_id)
    WHERE p.dataset_id = %s AND c.traceparent IS NOT NULL AND c.corrected AND c.counts
    ORDER BY c.confirmed_at DESC LIMIT %s"""


class RunTraces:
    """`spans` are those of this process. Tracing neither fails nor delays what is traced."""

    def __init__(self, database: MlopsDatabase, spans: Traces | None = None) -> None:
        self._database = database
        self.spans = spans or traces_of(SERVICE)

    def run_of(self, *, run_id: str = "", dataset_id: str = "", model_type: str = "", version: str = "") -> str | None:
        """The run that is meant: named itself, or by the dataset it collected, or by the version it made."""
        if run_id:
            return run_id
        rows = self._rows(_OF_DATASET, dataset_id) if dataset_id else self._rows(_OF_VERSION, model_type, version)
        return rows[0] if rows else None

    def begin(self, run_id: str, *, began_ns: int, said: Mapping[str, str]) -> None:
        """The first span of a run's trace, which all others are children of, and outlive."""
        self.spans.event("retraining", began_ns=began_ns, said=said, ids=ids_of(run_id))

    @contextmanager
    def step(self, name: str, run_id: str | None, said: Mapping[str, str]) -> Iterator[Span]:
        """Traces a step of a run; a step of no run is a trace of its own, and a step within another one is part
        of it.
        """
        parent = ids_of(run_id).traceparent if run_id and traceparent() is None else None
        try:
            with self.spans.span(name, parent, said=said) as span:
                yield span
        finally:
            self.spans.flush()

    def collected(self, dataset_id: str, span: Span, said: Mapping[str, str]) -> None:
        """Many corrections become one model: the run's span links to their traces, and each of these has a last span
        `collected` that links to the run's.
        """
        run = traceparent()
        for correction in filter(sampled, self._rows(_CORRECTIONS, dataset_id, MOST_LINKS)):
            span.add_link(context_of(correction))
            self.spans.event("collected", correction, said=said, links=(run,) if run else ())

    def _rows(self, query: str, *values: object) -> Sequence[str]:
        try:
            with self._database.transaction() as cursor:
                cursor.execute(query, values)
                return [str(row[0]) for row in cursor.fetchall()]
        except TryAgain as error:
            log.warning("what is done now is not in the trace of its run: %s", error)
            return []


def ids_of(run_id: str) -> Ids:
    digest = hashlib.sha256(f"retraining run {run_id}".encode()).digest()
    return Ids(trace=int.from_bytes(digest[:16]), span=int.from_bytes(digest[16:24]))
