"""Ask the retraining policy and keep its answer (specification, messages 5-6; design D4, D15)."""

from pipeline.domain.models import ModelType
from pipeline.domain.retraining import RetrainingDecision, RetrainingPolicy
from pipeline.ports.clock import Clock
from pipeline.ports.events import Confirmations, Decisions


def consider(
    model_type: ModelType,
    *,
    asked_by: str,
    forced_by: str | None,
    policy: RetrainingPolicy,
    confirmations: Confirmations,
    decisions: Decisions,
    clock: Clock,
) -> tuple[str, RetrainingDecision]:
    """The id of the recorded decision, and the decision."""
    now = clock.now()
    decision = policy.decide(confirmations.backlog(model_type), now=now, forced_by=forced_by)
    return decisions.record(model_type, decision, at=now, asked_by=asked_by), decision
