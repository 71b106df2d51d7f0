"""Allow promotions again after an automatic rollback: a person's word, kept for ever."""

from pipeline.domain.errors import GiveUp
from pipeline.domain.models import NOTES, Kind, ModelType, Transition, frozen_by
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import Transitions


def clear_freeze(
    model_type: ModelType, *, actor: str, reason: str, transitions: Transitions, clock: Clock
) -> Transition:
    """The automatic rollback whose freeze ended. Raises `GiveUp` when nothing is frozen or nobody says why."""
    if not actor.strip() or not reason.strip():
        raise GiveUp("clearing the freeze needs an actor and a reason")
    facts = transitions.facts(model_type)
    freeze = frozen_by(facts)
    if freeze is None:
        raise GiveUp(f"promotions of {model_type} are not frozen")
    champion, at = next(fact.to_version for fact in reversed(facts) if fact.kind not in NOTES), clock.now()
    note = Transition(
        id=f"freeze-cleared:{freeze.id}",
        model_type=model_type,
        kind=Kind.FREEZE_CLEARED,
        from_version=champion,
        to_version=champion,
        expected_current=champion,
        actor=actor,
        reason=reason,
        blessing_id=None,
        requested_at=at,
        confirmed_served_at=at,
    )
    transitions.note(note)
    return freeze
