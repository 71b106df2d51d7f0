"""Model events after deployment: canary, failures, live accuracy, dead letters (specification §3.3, §9-§11)."""

from datetime import datetime
from typing import Any

from pipeline.domain.events import OutgoingEvent
from pipeline.domain.live_accuracy import Reading


def canary_started(*, event_id: str, version: str, model_type: str, percent: float, at: datetime) -> OutgoingEvent:
    return _event(
        "CanaryStartedEvent", event_id, at, modelVersion=version, modelType=model_type, trafficPercent=percent
    )


def canary_promoted(*, event_id: str, version: str, model_type: str, reason: str, at: datetime) -> OutgoingEvent:
    return _event("CanaryPromotedEvent", event_id, at, modelVersion=version, modelType=model_type, reason=reason)


def canary_aborted(*, event_id: str, version: str, model_type: str, reason: str, at: datetime) -> OutgoingEvent:
    return _event("CanaryAbortedEvent", event_id, at, modelVersion=version, modelType=model_type, reason=reason)


def hot_swap_failed(*, event_id: str, version: str, model_type: str, reason: str, at: datetime) -> OutgoingEvent:
    """Urgent: an accepted model is not live (specification §5)."""
    return _event("HotSwapFailedEvent", event_id, at, modelVersion=version, modelType=model_type, reason=reason)


def rollback_failed(*, event_id: str, version: str, model_type: str, reason: str, at: datetime) -> OutgoingEvent:
    """Urgent: the model that was to be replaced still serves."""
    return _event("RollbackFailedEvent", event_id, at, modelVersion=version, modelType=model_type, reason=reason)


def live_accuracy_low(
    *, event_id: str, reading: Reading, model_type: str, consequence: str, at: datetime
) -> OutgoingEvent:
    return _event("LiveAccuracyLowEvent", event_id, at, **_figures(reading, model_type), consequence=consequence)


def live_accuracy_recovered(*, event_id: str, reading: Reading, model_type: str, at: datetime) -> OutgoingEvent:
    return _event("LiveAccuracyRecoveredEvent", event_id, at, **_figures(reading, model_type))


def dead_letters_waiting(*, event_id: str, count: int, at: datetime) -> OutgoingEvent:
    return _event("DeadLettersWaitingEvent", event_id, at, count=count)


def retraining_skipped(*, event_id: str, run_id: str, model_type: str, reason: str, at: datetime) -> OutgoingEvent:
    """The nightly run found nothing to do; the reason is the policy's."""
    return _event("RetrainingSkippedEvent", event_id, at, runId=run_id, modelType=model_type, reason=reason)


def _figures(reading: Reading, model_type: str) -> dict[str, Any]:
    return {
        "modelVersion": reading.version,
        "modelType": model_type,
        "accuracy": reading.accuracy,
        "confirmations": reading.confirmed,
        "reason": reading.reason,
    }


def _event(event_type: str, event_id: str, at: datetime, **fields: Any) -> OutgoingEvent:
    stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return OutgoingEvent(event_id, event_type, {"eventType": event_type, **fields, "at": stamp})
