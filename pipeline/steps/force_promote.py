"""Put a model live that verification did not accept: a person's word, kept for ever (design D13, D14)."""

import re
from collections.abc import Mapping
from functools import partial

from pipeline.domain.blessing import Blessing, Override, OverrideKind, load_objections
from pipeline.domain.errors import GiveUp, NotBlessed, UnknownVersion
from pipeline.domain.events import OutgoingEvent, model_deployed
from pipeline.domain.models import Kind, ModelType, ModelVersion, Status, Transition
from pipeline.ports.bundles import Registration
from pipeline.ports.clock import Clock
from pipeline.ports.data import ObjectStore
from pipeline.ports.deployment import ModelRegistry, ModelVersions, ServingFleet, Transitions
from pipeline.ports.training import TrainingRuns
from pipeline.ports.verification import Blessings
from pipeline.steps.change_champion import ChampionChange, ChangedChampion, change_champion
from pipeline.steps.register import register


def force_promote(
    model_type: ModelType,
    wanted: str,
    *,
    request_id: str,
    actor: str,
    reason: str,
    runs: TrainingRuns,
    versions: ModelVersions,
    blessings: Blessings,
    transitions: Transitions,
    fleet: ServingFleet,
    registry: ModelRegistry,
    objects: ObjectStore,
    clock: Clock,
    tags: Mapping[str, str],
) -> ChangedChampion:
    """Deploy `wanted`, a version or a retraining run, whatever its verdict says about quality.

    What is not skipped: a verdict must exist, its load checks must have passed, the files must be those that were
    judged, and every replica prepares the model and checks its golden predictions. `request_id` names this request:
    asked twice, it promotes once.
    """
    if not actor.strip() or not reason.strip():
        raise GiveUp("a forced promotion needs an actor and a reason")
    run_id = _run_of(model_type, wanted, versions)
    blessing = _demand_load_test(model_type, run_id, wanted, blessings)
    result = runs.result(run_id)
    if result is None or result.manifest_sha256 != blessing.artifact_manifest_sha256:
        raise NotBlessed(f"the verdict on {wanted} is about other files than those trained")
    blessings.override(Override(run_id, OverrideKind.FORCED, actor, reason, clock.now()))
    forced = {**tags, "forced_by": actor, "forced_because": reason}
    registration = Registration(versions, transitions, runs, blessings, registry, objects, forced)
    version = register(model_type, result, registration)
    served, transition_id = transitions.served(model_type), f"forced:{model_type}:{request_id}"
    if served and served[-1].to_version == version.version and served[-1].id != transition_id:
        raise UnknownVersion(f"{version.version} serves already: nothing to force")
    change = ChampionChange(
        id=transition_id,
        target=version,
        kind=Kind.FORCED,
        expected_current=served[-1].to_version if served else None,
        actor=actor,
        reason=reason,
        blessing_id=blessing.id,
    )

    announce = partial(_deployed, version, actor)
    return change_champion(
        change, transitions=transitions, fleet=fleet, registry=registry, clock=clock, announce=announce
    )


def _deployed(version: ModelVersion, actor: str, transition: Transition, seconds: float) -> OutgoingEvent:
    assert transition.confirmed_served_at is not None
    return model_deployed(
        event_id=f"deployed:{transition.id}",
        version=transition.to_version,
        model_type=version.model_type,
        accuracy=version.accuracy,
        deployed_at=transition.confirmed_served_at,
        previous_version=transition.from_version,
        deployment_seconds=seconds,
        forced_by=actor,
    )


def _run_of(model_type: ModelType, wanted: str, versions: ModelVersions) -> str:
    if not re.fullmatch(r"v\d+\.\d+\.\d+", wanted):
        return wanted
    version = versions.get(model_type, wanted)
    if version.status is Status.ARCHIVED:
        raise UnknownVersion(f"{wanted} is archived: restore it before promoting it")
    return version.run_id


def _demand_load_test(model_type: ModelType, run_id: str, wanted: str, blessings: Blessings) -> Blessing:
    blessing = blessings.of_run(run_id)
    if blessing is None or blessing.model_type != model_type:
        raise NotBlessed(
            f"{wanted[:80]!r} has no {model_type} verdict: verify it first; force skips judgement, not measuring"
        )
    objections = load_objections(blessing.checks)
    if objections:
        raise NotBlessed(f"not even force makes {wanted} live without a passed load test: {'; '.join(objections)}")
    return blessing
