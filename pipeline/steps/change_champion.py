"""One change of champion: intent, two-phase swap, read back, confirmation, projections (design D6, D13)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pipeline.domain.errors import GiveUp, ServiceUnavailable, StaleTransition, TryAgain
from pipeline.domain.model_events import OutgoingEvent
from pipeline.domain.models import Kind, ModelVersion, Transition, rollback_target
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import ModelRegistry, ServingFleet, Swap, Transitions


@dataclass(frozen=True)
class ChampionChange:
    """What is wanted: `expected_current` is the champion it was planned against; `id` makes a rerun recognisable."""

    id: str
    target: ModelVersion
    kind: Kind
    expected_current: str | None
    actor: str
    reason: str
    blessing_id: str | None


@dataclass(frozen=True)
class ChangedChampion:
    """What happened: `swap` is None when an earlier try of the same change had done it all."""

    transition: Transition
    swap: Swap | None
    seconds: float
    registry_is_behind: bool = False


def change_champion(
    change: ChampionChange,
    *,
    transitions: Transitions,
    fleet: ServingFleet,
    registry: ModelRegistry,
    clock: Clock,
    announce: Callable[[Transition, float], OutgoingEvent],
    registry_may_wait: bool = False,
) -> ChangedChampion:
    """Raises `StaleTransition`, or what the fleet raised with the old champion still serving everywhere.

    Confirmed only when every replica, asked afterwards, says it serves the target. With `registry_may_wait` a registry
    out of reach is left to reconcile: what serves is right, and a rollback must not depend on anything else.
    """
    model_type = change.target.model_type
    with transitions.exclusive(model_type):
        served = transitions.served(model_type)
        done = next((t for t in served if t.id == change.id), None)
        if done is None:
            current = served[-1].to_version if served else None
            changed = _swap_and_confirm(change, current, transitions, fleet, clock=clock, announce=announce)
        else:
            changed = ChangedChampion(done, None, 0.0)
        served = transitions.served(model_type)
        # Inside the lock: a later change must not be overwritten by an older projection.
        try:
            registry.mirror(model_type, champion=served[-1].to_version, previous=rollback_target(list(served)))
        except TryAgain:
            if not registry_may_wait:
                raise
            changed = replace(changed, registry_is_behind=True)
    return changed


def _swap_and_confirm(
    change: ChampionChange,
    current: str | None,
    transitions: Transitions,
    fleet: ServingFleet,
    *,
    clock: Clock,
    announce: Callable[[Transition, float], OutgoingEvent],
) -> ChangedChampion:
    if current != change.expected_current:
        raise StaleTransition(
            f"{change.target.version} was planned against champion {change.expected_current}, "
            f"but {current} serves now: verify against it and try again"
        )
    started = clock.now()
    planned = Transition(
        id=change.id,
        model_type=change.target.model_type,
        kind=change.kind,
        from_version=current,
        to_version=change.target.version,
        expected_current=change.expected_current,
        actor=change.actor,
        reason=change.reason,
        blessing_id=change.blessing_id,
        requested_at=started,
    )
    transitions.request(planned)
    try:
        swap = fleet.swap(planned.model_type, planned.to_version, change.target.artifact)
        _read_back(fleet, planned)
    except (GiveUp, TryAgain) as error:
        transitions.fail(planned, str(error))
        raise
    confirmed = replace(planned, confirmed_served_at=clock.now())
    seconds = (clock.now() - started).total_seconds()
    transitions.confirm(confirmed, announce(confirmed, seconds))
    return ChangedChampion(confirmed, swap, seconds)


def _read_back(fleet: ServingFleet, planned: Transition) -> None:
    others = [s for s in fleet.serving(planned.model_type) if s.version != planned.to_version]
    if others:
        found = ", ".join(f"{s.replica} serves {s.version}" for s in others)
        raise ServiceUnavailable("faceserve", f"{planned.to_version} was activated but {found}")
