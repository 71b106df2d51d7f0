"""Ask the retraining policy and keep its answer (specification, messages 5-6; design D4, D15)."""

from pipeline.domain.models import ModelType
from pipeline.domain.retraining import Asker, RetrainingDecision
from pipeline.ports.bundles import Scheduling


def consider(scheduling: Scheduling, model_type: ModelType, asker: Asker) -> tuple[str, RetrainingDecision]:
    """The id of the recorded decision, and the decision. A claim that is over is released first."""
    now, champion = scheduling.clock.now(), scheduling.transitions.ledger(model_type).champion
    backlog = scheduling.confirmations.backlog(model_type, champion)
    claim = scheduling.runs.claim(model_type)
    if claim is not None and (why := claim.over(now, asker)) is not None:
        scheduling.runs.end(claim.run_id, at=now, outcome=why)
        return consider(scheduling, model_type, asker)
    decision = scheduling.policy.decide(backlog, asker, now=now, claim=claim)
    return scheduling.decisions.record(model_type, decision, at=now, asked_by=asker.by), decision
