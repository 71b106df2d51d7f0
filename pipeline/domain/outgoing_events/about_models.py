"""Events about models: of training, of deployment, and of how they do while they are live (specification §2.2)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from pipeline.domain.live_accuracy import Reading
from pipeline.domain.outgoing_events.event import ModelEvent, OfModelType

# Training and verification


@dataclass(frozen=True, kw_only=True)
class RetrainingSkippedEvent(OfModelType):
    """A run that nobody looks at trains nothing; the reason is the policy's. The nightly one found nothing to do; one
    that something else forced, a retry after a refusal, could not begin: `forced_for` says what it was to be.
    """

    run_id: str
    reason: str
    at: datetime
    forced_for: str | None = field(default=None, metadata={"optional": True})


@dataclass(frozen=True, kw_only=True)
class TrainingFailedEvent(OfModelType):
    """Every attempt failed and a person is needed (specification §5); `link` shows the attempts."""

    run_id: str
    attempts: tuple[str, ...]
    link: str
    failed_at: datetime

    derived = ("message",)

    @property
    def message(self) -> str:
        return (
            f"Training {self.run_id} of the {self.model_type} model needs a person: {len(self.attempts)} attempts and "
            f"no model. The current one keeps serving. Curves and parameters: {self.link}"
        )


@dataclass(frozen=True, kw_only=True)
class ModelVerificationFailedEvent(OfModelType):
    """A candidate was refused (specification, messages 27-28); `report` is the address of the report."""

    run_id: str
    reasons: tuple[str, ...]
    advice: str
    report: str
    failed_at: datetime

    derived = ("summary",)

    @property
    def summary(self) -> str:
        why = "; ".join(self.reasons)
        return f"The {self.model_type} model of run {self.run_id} was refused: {why}. Next: {self.advice}."


@dataclass(frozen=True, kw_only=True)
class ModelVerificationHeldEvent(OfModelType):
    """The evidence does not decide: a person has to."""

    run_id: str
    reasons: tuple[str, ...]
    report: str
    held_at: datetime

    derived = ("summary",)

    @property
    def summary(self) -> str:
        return f"The {self.model_type} model of run {self.run_id} waits for a person: {'; '.join(self.reasons)}."


# Deployment


@dataclass(frozen=True, kw_only=True)
class ModelDeployedEvent(OfModelType):
    """Every replica serves it (specification, messages 40-43); `forced_by` only when a person overruled verification.

    `accuracy` 0-1 is the verdict's: on the validation photos, through a real server. `corrections_through` is the time
    of the last correction that it can have learned from.
    """

    model_version: str
    accuracy: float
    deployed_at: datetime
    previous_version: str | None
    deployment_time: timedelta
    forced_by: str | None = field(default=None, metadata={"optional": True})
    corrections_through: datetime | None = field(default=None, metadata={"optional": True})


@dataclass(frozen=True, kw_only=True)
class HotSwapFailedEvent(OfModelType):
    """Urgent: an accepted model was seen not to go live (specification §5); `champion` keeps serving."""

    model_version: str
    champion: str | None
    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class HotSwapUnconfirmedEvent(OfModelType):
    """Urgent: nobody could ask every replica what it serves, the new model or `champion`; reconciling settles it."""

    model_version: str
    champion: str | None
    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ModelRolledBackEvent(OfModelType):
    """`model_version` serves now, `rolled_back_from` served before (specification §3.3); `promotions_frozen` when the
    monitor took it down.
    """

    model_version: str
    rolled_back_from: str | None
    reason: str
    actor: str
    rolled_back_at: datetime
    promotions_frozen: bool = False


@dataclass(frozen=True, kw_only=True)
class RollbackFailedEvent(OfModelType):
    """Urgent: the model that was to be replaced may still serve."""

    model_version: str
    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class RollbackIncompleteEvent(OfModelType):
    """Urgent: every replica that answers is back at `model_version`; `missing` are not, and may serve the bad model."""

    model_version: str
    missing: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, kw_only=True)
class CanaryStartedEvent(OfModelType):
    model_version: str
    traffic_percent: float
    at: datetime


@dataclass(frozen=True, kw_only=True)
class CanaryPromotedEvent(OfModelType):
    model_version: str
    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class CanaryAbortedEvent(OfModelType):
    model_version: str
    reason: str
    at: datetime


# After it is live


@dataclass(frozen=True, kw_only=True)
class LiveAccuracyEvent(OfModelType):
    """`accuracy` 0-1 of `confirmations`, or None when there are none."""

    model_version: str
    accuracy: float | None
    confirmations: int
    reason: str
    at: datetime

    @classmethod
    def of(cls, reading: Reading, **more: Any) -> Self:
        return cls(
            model_version=reading.version,
            accuracy=reading.accuracy,
            confirmations=reading.confirmed,
            reason=reading.reason,
            **more,
        )


@dataclass(frozen=True, kw_only=True)
class LiveAccuracyRecoveredEvent(LiveAccuracyEvent):
    """Accuracy is well above the alert again."""


@dataclass(frozen=True, kw_only=True)
class LiveAccuracyLowEvent(LiveAccuracyEvent):
    """`consequence` says what happens now. `needs_person`: it is far too low, and nothing happens by itself."""

    consequence: str
    needs_person: bool = False


@dataclass(frozen=True, kw_only=True)
class ConfirmationsStoppedEvent(OfModelType):
    """Nobody confirmed a verdict of `model_version` since then: nothing is known of how often it is right."""

    model_version: str
    since: datetime
    at: datetime


@dataclass(frozen=True, kw_only=True)
class DeadLettersWaitingEvent(ModelEvent):
    """Messages that could not be used wait in the dead-letter queue, which is one for all models."""

    count: int
    at: datetime
