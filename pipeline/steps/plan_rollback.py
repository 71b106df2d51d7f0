"""What a rollback would do, so that whoever has to allow it knows which version they answer for."""

from dataclasses import dataclass

from pipeline.domain.models import ModelType
from pipeline.ports.deployment import Transitions


@dataclass(frozen=True)
class RollbackPlan:
    version: str
    from_version: str
    question: str


def plan_rollback(transitions: Transitions, model_type: ModelType, target: str) -> RollbackPlan:
    """`target` is a version or `previous`. Raises `UnknownVersion` when there is nothing to go back to."""
    ledger = transitions.ledger(model_type)
    version, champion = ledger.rollback_target(target), ledger.champion
    assert champion is not None
    until = next(reign.until for reign in reversed(ledger.reigns) if reign.version == version)
    assert until is not None
    question = f"Roll {model_type} back from {champion} to {version}, which served until {until:%Y-%m-%d %H:%M} UTC?"
    return RollbackPlan(version, champion, question)
