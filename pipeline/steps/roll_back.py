"""Bring an earlier version back on every replica (specification §3.3)."""

from pipeline.domain.errors import UnknownVersion
from pipeline.domain.events import OutgoingEvent, model_rolled_back
from pipeline.domain.models import Kind, ModelType, Status, Transition, rollback_target
from pipeline.ports import Clock, ModelRegistry, ModelVersions, ServingFleet, Transitions
from pipeline.steps.change_champion import ChampionChange, ChangedChampion, change_champion

PREVIOUS = "previous"


def roll_back(
    model_type: ModelType,
    target: str,
    *,
    request_id: str,
    actor: str,
    reason: str,
    versions: ModelVersions,
    transitions: Transitions,
    fleet: ServingFleet,
    registry: ModelRegistry,
    clock: Clock,
) -> ChangedChampion:
    """Serve `target` again: a version that served before, or `previous` for the one before the champion.

    `request_id` names this request: asked twice, it rolls back once. Raises `UnknownVersion` with a sentence when
    there is nothing to go back to, `StaleTransition`, or what the fleet raised.
    """
    transition_id = f"rollback:{model_type}:{request_id}"
    served = list(transitions.served(model_type))
    earlier = next((t for t in served if t.id == transition_id), None)
    version = earlier.to_version if earlier else _target(target, served, model_type)

    def announce(transition: Transition, seconds: float) -> OutgoingEvent:
        assert transition.confirmed_served_at is not None and transition.from_version is not None
        return model_rolled_back(
            event_id=f"rolled-back:{transition.id}",
            version=transition.to_version,
            model_type=model_type,
            from_version=transition.from_version,
            reason=reason,
            actor=actor,
            at=transition.confirmed_served_at,
        )

    found = versions.get(model_type, version)
    if found.status is Status.ARCHIVED:
        raise UnknownVersion(f"{version} is archived: restore it before rolling back to it")
    change = ChampionChange(
        id=transition_id,
        target=found,
        kind=Kind.ROLLBACK_MANUAL,
        expected_current=served[-1].to_version if served else None,
        actor=actor,
        reason=reason,
        blessing_id=None,
    )
    return change_champion(
        change, transitions=transitions, fleet=fleet, registry=registry, clock=clock, announce=announce
    )


def _target(asked: str, served: list[Transition], model_type: ModelType) -> str:
    if not served:
        raise UnknownVersion(f"no {model_type} model has served yet: nothing to roll back to")
    current = served[-1].to_version
    if asked == PREVIOUS:
        before = rollback_target(served)
        if before is None:
            raise UnknownVersion(f"{current} is the only {model_type} version that ever served: no previous one")
        return before
    if asked == current:
        raise UnknownVersion(f"{asked} serves already: name another version")
    if asked not in {t.to_version for t in served}:
        raise UnknownVersion(f"{asked[:40]!r} never served as {model_type}: roll back to a version that did")
    return asked
