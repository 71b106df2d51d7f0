"""Give an accepted version a share of the requests on every replica (specification §11)."""

from collections.abc import Sequence
from datetime import datetime

from pipeline.domain.blessing import Blessing
from pipeline.domain.errors import CanaryEnded, NotBlessed, PromotionFrozen, StaleTransition, UnknownVersion
from pipeline.domain.live_events import canary_started
from pipeline.domain.models import (
    NOTES,
    Kind,
    ModelType,
    ModelVersion,
    Status,
    Transition,
    frozen_by,
    frozen_sentence,
    on_trial,
)
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import ModelVersions, ServingFleet, Transitions
from pipeline.ports.verification import Blessings


def start_canary(
    model_type: ModelType,
    version: str,
    *,
    request_id: str,
    percent: float,
    actor: str,
    reason: str,
    versions: ModelVersions,
    blessings: Blessings,
    transitions: Transitions,
    fleet: ServingFleet,
    clock: Clock,
) -> Transition:
    """The note of the trial; asked twice under one `request_id`, the same trial goes on.

    Raises `NotBlessed`, `PromotionFrozen`, `StaleTransition`, `CanaryEnded` when this trial is over already, or what
    the fleet raised; the champion then serves alone.
    """
    target = versions.get(model_type, version)
    blessing = _demand_approval(target, blessings)
    trial_id = f"canary:{model_type}:{version}:{request_id}"
    with transitions.exclusive(model_type):
        facts = transitions.facts(model_type)
        running = on_trial(facts)
        if running is not None and running.id != trial_id:
            raise CanaryEnded(f"{running.to_version} is on trial already: wait for its end, or abort it")
        if running is None and any(fact.id == trial_id for fact in facts):
            raise CanaryEnded(f"this trial of {version} is over: `history` says how it ended")
        if running is None:
            _demand_leave(target, blessing, facts)
        # Again when it runs already: a replica may have lost it with its memory.
        fleet.start_canary(model_type, version, target.artifact, percent)
        if running is not None:
            return running
        note = _note(trial_id, target, blessing, actor=actor, reason=reason, at=clock.now())
        event = canary_started(
            event_id=f"started:{trial_id}",
            version=version,
            model_type=model_type,
            percent=percent,
            at=note.requested_at,
        )
        transitions.note(note, event)
    return note


def _demand_approval(target: ModelVersion, blessings: Blessings) -> Blessing:
    if target.status is Status.ARCHIVED:
        raise UnknownVersion(f"{target.version} is archived: restore it before it gets requests")
    blessing = blessings.of_run(target.run_id)
    if blessing is None or not blessing.approved:
        raise NotBlessed(f"{target.version} was not accepted by verification: it gets no requests")
    if blessing.artifact_manifest_sha256 != target.artifact.manifest_sha256:
        raise NotBlessed(f"the verdict on {target.version} is about other files than those registered")
    return blessing


def _demand_leave(target: ModelVersion, blessing: Blessing, facts: Sequence[Transition]) -> None:
    if (freeze := frozen_by(facts)) is not None:
        raise PromotionFrozen(frozen_sentence(freeze))
    champion = next((fact.to_version for fact in reversed(facts) if fact.kind not in NOTES), None)
    if champion is None:
        raise StaleTransition(f"no champion serves beside which {target.version} could be tried: promote it in full")
    if champion != blessing.champion_version:
        raise StaleTransition(
            f"{target.version} was verified against {blessing.champion_version}, but {champion} serves now"
        )


def _note(
    trial_id: str, target: ModelVersion, blessing: Blessing, *, actor: str, reason: str, at: datetime
) -> Transition:
    return Transition(
        id=trial_id,
        model_type=target.model_type,
        kind=Kind.CANARY_START,
        from_version=blessing.champion_version,
        to_version=target.version,
        expected_current=blessing.champion_version,
        actor=actor,
        reason=reason,
        blessing_id=blessing.id,
        requested_at=at,
        confirmed_served_at=at,
    )
