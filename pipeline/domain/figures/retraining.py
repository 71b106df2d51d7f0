"""What waits to be learned from, what was decided, and how retrainings ended."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from pipeline.domain.facts import Fact, label_of
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import Backlog, RetrainingPolicy, RunOutcome


@dataclass(frozen=True)
class Decided:
    """How often one rule of the retraining policy gave one answer, and when last."""

    rule: str
    due: bool
    times: int
    newest: datetime


def of_backlog(model_type: ModelType, backlog: Backlog, policy: RetrainingPolicy) -> Iterator[Fact]:
    model = (label_of(model_type),)
    yield Fact("corrections_pending", model, backlog.corrections)
    yield Fact("corrections_untried", model, backlog.since_last_try)
    yield Fact("corrections_needed", (*model, "retraining"), policy.min_corrections)
    yield Fact("corrections_needed", (*model, "urgent"), policy.urgent_corrections)
    yield Fact("training_interval_seconds", model, timedelta(days=policy.min_days).total_seconds())
    if backlog.last_trained_at is not None:
        yield Fact("last_training_timestamp_seconds", model, backlog.last_trained_at.timestamp())


def of_decisions(model_type: ModelType, decided: Sequence[Decided]) -> Iterator[Fact]:
    model = (label_of(model_type),)
    for one in decided:
        yield Fact("decisions_total", (*model, one.rule, str(one.due).lower()), one.times)
    if decided:
        newest = max(one.newest for one in decided)
        yield Fact("last_decision_timestamp_seconds", model, newest.timestamp())


def of_runs(model_type: ModelType, ended: Sequence[str]) -> Iterator[Fact]:
    """`ended` are the outcomes of all retrainings that ended, newest first."""
    model, outcomes = (label_of(model_type),), [str(one) for one in RunOutcome]
    counted = Counter(one if one in outcomes else "lost" for one in ended)
    for outcome in (*outcomes, "lost"):
        yield Fact("runs_ended", (*model, outcome), counted[outcome])
    refused = takewhile(lambda one: one == RunOutcome.REFUSED, ended)
    yield Fact("refusals_in_a_row", model, sum(1 for _ in refused))
