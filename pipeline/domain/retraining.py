"""When to retrain: enough corrections and enough time, or urgently many (specification §2.2; design D4, D15)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pipeline.domain.bounds import AtLeastOne, NotNegative

LONGEST_RUN = timedelta(days=5)
"""A day of training, three of a canary, and one of waiting for a person's word."""


class RunOutcome(StrEnum):
    """How a retraining ended, as it is recorded.

    `REFUSED` and `HELD` are verdicts; of a model that may go live, `CANARY_ABORTED` says that the trial ended it, and
    `UNCONFIRMED` that nobody knows whether it serves.
    """

    DEPLOYED = "deployed"
    REFUSED = "refused"
    HELD = "held"
    CANARY_ABORTED = "canary aborted"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"


@dataclass(frozen=True)
class Backlog:
    """Corrections waiting.

    `corrections` counts those confirmed since the last *promoted* training consumed them;
    `since_last_try` those stored since the last training *tried*, whatever came of it.
    """

    corrections: int
    since_last_try: int
    last_trained_at: datetime | None


@dataclass(frozen=True)
class Claim:
    """`run_id` retrains a model type since `since`; nobody else does meanwhile."""

    run_id: str
    since: datetime

    def expired(self, now: datetime) -> bool:
        """A claim this old belongs to a run that died: no retraining takes as long."""
        return now - self.since > LONGEST_RUN


@dataclass(frozen=True)
class RetrainingDecision:
    """One evaluation of the policy: `rule` names what fired, `reason` is the sentence people read."""

    due: bool
    rule: str
    reason: str
    backlog: Backlog


@dataclass(frozen=True)
class RetrainingPolicy:
    """Thresholds of the specification."""

    min_corrections: AtLeastOne = 100
    """Corrections since the last training that make one due."""
    urgent_corrections: AtLeastOne = 300
    """Corrections that make one due whatever the time since the last training."""
    min_days: NotNegative = 7.0
    """Days since the last training before another one that is not urgent."""

    def __post_init__(self) -> None:
        if not 0 < self.min_corrections <= self.urgent_corrections:
            raise ValueError("need 0 < min_corrections <= urgent_corrections")

    def decide(
        self, backlog: Backlog, *, now: datetime, claim: Claim | None = None, forced_by: str | None = None
    ) -> RetrainingDecision:
        """`forced_by` is who asked for a retraining whatever the backlog; the run that has the claim blocks it."""
        if claim is not None:
            since = f"{claim.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            return self._no(backlog, "running", f"a retraining is already running: {claim.run_id}, since {since}")
        if forced_by is not None:
            return RetrainingDecision(True, "forced", f"forced by {forced_by}", backlog)
        if backlog.last_trained_at is None:
            return self._no(backlog, "no_champion", "no model yet: run the first training with force")
        if backlog.corrections < self.min_corrections:
            return self._no(backlog, "too_few", f"{backlog.corrections} corrections, {self.min_corrections} needed")
        if backlog.since_last_try < self.min_corrections:
            return self._no(
                backlog,
                "tried",
                f"{backlog.corrections} corrections were tried already, only {backlog.since_last_try} are new since",
            )
        if backlog.corrections >= self.urgent_corrections:
            return RetrainingDecision(
                True, "urgent", f"{backlog.corrections} corrections reach the urgent {self.urgent_corrections}", backlog
            )
        return self._by_age(backlog, now)

    def _by_age(self, backlog: Backlog, now: datetime) -> RetrainingDecision:
        assert backlog.last_trained_at is not None
        days = (now - backlog.last_trained_at).total_seconds() / 86400
        if days < self.min_days:
            return self._no(
                backlog,
                "too_soon",
                f"{backlog.corrections} corrections, but {days:.1f} of {self.min_days:g} days since the last training",
            )
        return RetrainingDecision(
            True, "threshold", f"{backlog.corrections} corrections and {days:.1f} days since the last training", backlog
        )

    @staticmethod
    def _no(backlog: Backlog, rule: str, reason: str) -> RetrainingDecision:
        return RetrainingDecision(False, rule, reason, backlog)
