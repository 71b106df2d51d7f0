"""Ask the retraining policy and keep its answer (specification, messages 5-6; design D4, D15)."""

from dataclasses import replace
from datetime import datetime

from pipeline.domain.history import History
from pipeline.domain.models import ModelType
from pipeline.domain.promises import Lately, Promise
from pipeline.domain.retraining import Asker, Backlog, RetrainingDecision
from pipeline.ports.bundles import Scheduling
from pipeline.steps.release_dead_claim import release_dead_claim


def consider(scheduling: Scheduling, model_type: ModelType, asker: Asker) -> tuple[str, RetrainingDecision]:
    """The id of the recorded decision, and the decision. A dead claim is released first."""
    now, history = scheduling.clock.now(), scheduling.transitions.ledger(model_type)
    claim = release_dead_claim(scheduling, model_type, asker.idle)
    backlog = _backlog(scheduling, history, now)
    decision = scheduling.policy.decide(backlog, asker, now=now, claim=claim)
    return scheduling.decisions.record(model_type, decision, at=now, asked_by=asker.by), decision


def _backlog(scheduling: Scheduling, history: History, now: datetime) -> Backlog:
    found = scheduling.confirmations.backlog(history.model_type, history.champion)
    if not scheduling.policy.may_be_urgent(found):
        return found
    return replace(found, lately=_lately(scheduling, history, now))


def _lately(scheduling: Scheduling, history: History, now: datetime) -> Lately | None:
    if history.champion is None:
        return None
    champion = scheduling.versions.get(history.model_type, history.champion)
    promise = Promise.of(champion.version, scheduling.blessings.of_run(champion.run_id))
    if promise is None:
        return None
    period = scheduling.policy.lately(history.reigns[-1].since, now)
    seen = scheduling.metrics.tally(history, champion.version, period)
    hours = (period.until - period.since).total_seconds() / 3600
    return Lately(promise, seen.confirmed, seen.confirmed - seen.agreed, hours)
