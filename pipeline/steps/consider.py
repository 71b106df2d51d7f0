"""Ask the retraining policy and keep its answer (specification, messages 5-6; design D4, D15)."""

from pipeline.domain.models import ModelType
from pipeline.domain.retraining import RetrainingDecision
from pipeline.ports.bundles import Scheduling


def consider(
    scheduling: Scheduling, model_type: ModelType, *, asked_by: str, forced_by: str | None = None
) -> tuple[str, RetrainingDecision]:
    """The id of the recorded decision, and the decision."""
    now, champion = scheduling.clock.now(), scheduling.transitions.ledger(model_type).champion
    backlog = scheduling.confirmations.backlog(model_type, champion)
    claim = scheduling.runs.claim(model_type)
    if claim is not None and claim.expired(now):
        scheduling.runs.end(claim.run_id, at=now, outcome="lease expired")
        claim = None
    decision = scheduling.policy.decide(backlog, now=now, claim=claim, forced_by=forced_by)
    return scheduling.decisions.record(model_type, decision, at=now, asked_by=asked_by), decision
