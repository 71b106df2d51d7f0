"""Bring an earlier version back on every replica (specification §3.3)."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.errors import GiveUp, StaleTransition, TryAgain, UnknownVersion
from pipeline.domain.events import OutgoingEvent, model_rolled_back
from pipeline.domain.live_events import rollback_failed
from pipeline.domain.models import Kind, ModelType, Status, Transition, rollback_target
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import ModelRegistry, ModelVersions, ServingFleet, Transitions
from pipeline.ports.events import Outbox
from pipeline.steps.change_champion import ChampionChange, ChangedChampion, change_champion

PREVIOUS = "previous"


@dataclass(frozen=True)
class RollbackRequest:
    """Who wants what, since when. `id` names the request: asked twice, it rolls back once.

    `judged` is the champion an automatic rollback is about; None for a person's.
    """

    id: str
    target: str
    actor: str
    reason: str
    asked_at: datetime
    judged: str | None = None


def roll_back(
    model_type: ModelType,
    request: RollbackRequest,
    *,
    versions: ModelVersions,
    transitions: Transitions,
    fleet: ServingFleet,
    registry: ModelRegistry,
    outbox: Outbox,
    clock: Clock,
) -> ChangedChampion:
    """Serve an earlier version again: one that served before, or `previous` for the one before the champion.

    Raises `UnknownVersion` with a sentence when there is nothing to go back to, `StaleTransition` when the champion
    changed after it was asked for, or what the fleet raised, with `RollbackFailedEvent` in the outbox.
    """
    transition_id = f"rollback:{model_type}:{request.id}"
    served = list(transitions.served(model_type))
    earlier = next((t for t in served if t.id == transition_id), None)
    if earlier is None:
        _demand_same_champion(request, served)
    version = earlier.to_version if earlier else _target(request.target, served, model_type)

    def announce(transition: Transition, seconds: float) -> OutgoingEvent:
        assert transition.confirmed_served_at is not None and transition.from_version is not None
        return model_rolled_back(
            event_id=f"rolled-back:{transition.id}",
            version=transition.to_version,
            model_type=model_type,
            from_version=transition.from_version,
            reason=request.reason,
            actor=request.actor,
            at=transition.confirmed_served_at,
        )

    found = versions.get(model_type, version)
    if found.status is Status.ARCHIVED:
        raise UnknownVersion(f"{version} is archived: restore it before rolling back to it")
    change = ChampionChange(
        id=transition_id,
        target=found,
        kind=Kind.ROLLBACK_AUTO if request.judged else Kind.ROLLBACK_MANUAL,
        expected_current=served[-1].to_version if served else None,
        actor=request.actor,
        reason=request.reason,
        blessing_id=None,
    )
    try:
        return change_champion(
            change,
            transitions=transitions,
            fleet=fleet,
            registry=registry,
            clock=clock,
            announce=announce,
            registry_may_wait=True,
        )
    except (GiveUp, TryAgain) as error:
        outbox.add(
            rollback_failed(
                event_id=f"rollback-failed:{transition_id}",
                version=version,
                model_type=model_type,
                reason=str(error),
                at=clock.now(),
            )
        )
        raise


def _demand_same_champion(request: RollbackRequest, served: list[Transition]) -> None:
    """Two people who press the button at once want one step back, not two."""
    if not served:
        return
    champion = served[-1]
    assert champion.confirmed_served_at is not None
    if request.judged is not None and champion.to_version != request.judged:
        raise StaleTransition(f"the rollback was about {request.judged}, but {champion.to_version} serves by now")
    if request.target == PREVIOUS and champion.confirmed_served_at > request.asked_at:
        raise StaleTransition(
            f"{champion.to_version} serves since {champion.confirmed_served_at.isoformat(timespec='seconds')}, after "
            "this rollback was asked for: look at it, and ask again if it still has to go"
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
