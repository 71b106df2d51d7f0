"""Serve a canary to everybody: an ordinary change of champion to a version every replica has at hand."""

from pipeline.domain.live_events import canary_promoted
from pipeline.domain.models import Kind, ModelType
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import ModelRegistry, ModelVersions, ServingFleet, Transitions
from pipeline.ports.events import Outbox
from pipeline.ports.verification import Blessings
from pipeline.steps.change_champion import ChangedChampion
from pipeline.steps.hot_swap import hot_swap


def promote_canary(
    model_type: ModelType,
    version: str,
    *,
    actor: str,
    reason: str,
    versions: ModelVersions,
    blessings: Blessings,
    transitions: Transitions,
    fleet: ServingFleet,
    registry: ModelRegistry,
    outbox: Outbox,
    clock: Clock,
) -> ChangedChampion:
    """Raises what `hot_swap` raises; the trial then goes on."""
    changed = hot_swap(
        model_type,
        version,
        kind=Kind.CANARY_PROMOTE,
        actor=actor,
        reason=reason,
        versions=versions,
        blessings=blessings,
        transitions=transitions,
        fleet=fleet,
        registry=registry,
        clock=clock,
    )
    event = canary_promoted(
        event_id=f"canary-{changed.transition.id}",
        version=version,
        model_type=model_type,
        reason=reason,
        at=clock.now(),
    )
    outbox.add(event)
    return changed
