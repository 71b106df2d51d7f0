"""What the world is told of a change of champion, committed together with it."""

from collections.abc import Mapping
from datetime import datetime

from pipeline.domain.outgoing_events import (
    CanaryPromotedEvent,
    ModelDeployedEvent,
    ModelEvent,
    ModelRolledBackEvent,
    OutgoingEvent,
    RollbackIncompleteEvent,
)
from pipeline.domain.serving import each_listed
from pipeline.domain.transitions import ROLLBACKS, ChampionChange, Kind
from pipeline.ports.bundles import Deployment


def told(d: Deployment, change: ChampionChange, at: datetime, missing: Mapping[str, str]) -> list[OutgoingEvent]:
    """The events of `change`, which serves since `at`; `missing` are replicas that it has not reached."""
    if change.kind in ROLLBACKS:
        return [event.outgoing() for event in _of_rollback(change, at, missing)]
    # A version that reached only some replicas, and is rolled back, was never deployed in the sense of the
    # specification.
    return [] if missing else [event.outgoing() for event in _of_promotion(d, change, at)]


def _of_rollback(change: ChampionChange, at: datetime, missing: Mapping[str, str]) -> list[ModelEvent]:
    back = ModelRolledBackEvent(
        id=f"rolled-back:{change.id}",
        model_type=change.model_type,
        model_version=change.version,
        rolled_back_from=change.from_version,
        reason=change.by.reason,
        actor=change.by.actor,
        rolled_back_at=at,
        promotions_frozen=change.kind is Kind.ROLLBACK_AUTO,
    )
    if not missing:
        return [back]
    incomplete = RollbackIncompleteEvent(
        id=f"incomplete:{change.id}",
        model_type=change.model_type,
        model_version=change.version,
        missing=each_listed(missing),
        at=at,
    )
    return [back, incomplete]


def _of_promotion(d: Deployment, change: ChampionChange, at: datetime) -> list[ModelEvent]:
    deployed = ModelDeployedEvent(
        id=f"deployed:{change.id}",
        model_type=change.model_type,
        model_version=change.version,
        accuracy=d.versions.get(change.model_type, change.version).accuracy,
        deployed_at=at,
        previous_version=change.from_version,
        deployment_time=at - change.at,
        forced_by=change.by.actor if change.kind is Kind.FORCED else None,
        corrections_through=d.versions.learned_until(change.model_type, change.version),
    )
    if change.kind is not Kind.CANARY_PROMOTE:
        return [deployed]
    promoted = CanaryPromotedEvent(
        id=f"canary-{change.id}",
        model_type=change.model_type,
        model_version=change.version,
        reason=change.by.reason,
        at=at,
    )
    return [deployed, promoted]
