"""Make a registered version serve on every replica (specification, messages 35-43; design D6, D14)."""

from pipeline.domain.errors import NotBlessed, UnknownVersion
from pipeline.domain.events import OutgoingEvent, model_deployed
from pipeline.domain.models import Kind, ModelType, Status, Transition
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import ModelRegistry, ModelVersions, ServingFleet, Transitions
from pipeline.ports.verification import Blessings
from pipeline.steps.change_champion import ChampionChange, ChangedChampion, change_champion


def hot_swap(
    model_type: ModelType,
    version: str,
    *,
    kind: Kind = Kind.PROMOTE,
    actor: str,
    reason: str,
    versions: ModelVersions,
    blessings: Blessings,
    transitions: Transitions,
    fleet: ServingFleet,
    registry: ModelRegistry,
    clock: Clock,
) -> ChangedChampion:
    """Deploy `version`; only its blessing says whether it may.

    Raises `UnknownVersion`, `NotBlessed`, `StaleTransition` (the champion changed since verification), or what the
    fleet raised; the old champion then still serves everywhere.
    """
    target = versions.get(model_type, version)
    if target.status is Status.ARCHIVED:
        raise UnknownVersion(f"{version} is archived: restore it before it goes live")
    blessing = blessings.of_run(target.run_id)
    if blessing is None or not blessing.approved:
        raise NotBlessed(f"{version} was not accepted by verification: it cannot go live")
    if blessing.artifact_manifest_sha256 != target.artifact.manifest_sha256:
        raise NotBlessed(f"the verdict on {version} is about other files than those registered")

    def announce(transition: Transition, seconds: float) -> OutgoingEvent:
        assert transition.confirmed_served_at is not None
        return model_deployed(
            event_id=f"deployed:{transition.id}",
            version=version,
            model_type=model_type,
            accuracy=target.accuracy,
            deployed_at=transition.confirmed_served_at,
            previous_version=transition.from_version,
            deployment_seconds=seconds,
        )

    change = ChampionChange(
        # One promotion a training run: a rerun finds it done, also after a later rollback.
        id=f"promote:{model_type}:{target.run_id}",
        target=target,
        kind=kind,
        expected_current=blessing.champion_version,
        actor=actor,
        reason=reason,
        blessing_id=blessing.id,
    )
    return change_champion(
        change, transitions=transitions, fleet=fleet, registry=registry, clock=clock, announce=announce
    )
