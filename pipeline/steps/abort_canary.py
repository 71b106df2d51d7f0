"""Take a canary out of the requests; the champion serves alone again (specification §11)."""

from pipeline.domain.live_events import canary_aborted
from pipeline.domain.models import Kind, ModelType, Transition, on_trial
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import ServingFleet, Transitions


def abort_canary(
    model_type: ModelType,
    version: str,
    *,
    actor: str,
    reason: str,
    transitions: Transitions,
    fleet: ServingFleet,
    clock: Clock,
) -> bool:
    """Whether there was a trial to end. Raises `ServiceUnavailable` while a replica may still try it."""
    with transitions.exclusive(model_type):
        trial = on_trial(transitions.facts(model_type))
        if trial is None or trial.to_version != version:
            return False
        fleet.abort_canary(model_type, version, reason)
        at = clock.now()
        note = Transition(
            id=f"{trial.id}:aborted",
            model_type=model_type,
            kind=Kind.CANARY_ABORT,
            from_version=trial.from_version,
            to_version=version,
            expected_current=trial.from_version,
            actor=actor,
            reason=reason,
            blessing_id=None,
            requested_at=at,
            confirmed_served_at=at,
        )
        event = canary_aborted(
            event_id=f"aborted:{trial.id}", version=version, model_type=model_type, reason=reason, at=at
        )
        transitions.note(note, event)
    return True
