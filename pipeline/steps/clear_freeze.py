"""Allow promotions again after an automatic rollback: a person's word, kept for ever."""

from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By, Entry, FreezeCleared, Phase
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import Transitions


def clear_freeze(
    transitions: Transitions, model_type: ModelType, by: By, clock: Clock, meant: str | None = None
) -> FreezeCleared:
    """Raises `GiveUp` when nothing is frozen, another freeze than `meant` is in force, or nobody says why."""
    with transitions.exclusive(model_type):
        ledger = transitions.ledger(model_type)
        cleared = ledger.clear_freeze(by, clock.now(), meant)
        if ledger.done(cleared.id):
            return cleared
        transitions.append(ledger, Entry(Phase.NOTED, cleared, cleared.at))
    return cleared
