"""When to retrain: with enough corrections, at night; or at once, with urgently many (specification §2.2, §11; design
D4, D15, D22).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pipeline.domain.bounds import AtLeastOne, Days, Hours, PositiveHours, TwoSided
from pipeline.domain.cheap_hours import CheapHours
from pipeline.domain.live_accuracy import Period
from pipeline.domain.promises import Lately

LONGEST_RUN = timedelta(days=5)
"""A day of training, three of a canary, and one of waiting for a person's word."""

SAYS_IT_LIVES_EVERY = timedelta(seconds=20)
"""How often the process of a retraining by hand says that it is alive."""

LONGEST_SILENCE = timedelta(minutes=5)
"""How long such a process may say nothing before it counts as dead; a restart of the database takes less."""

LATE_RUN = timedelta(hours=36)
"""By then a run has ended, unless it has a canary or a question to a person: a day of training, and the rest."""


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
class Try:
    """A retraining that ended without a verdict: its dataset was refused, its training gave up, or it was killed.

    `new_since` counts corrections stored since it began.
    """

    run_id: str
    at: datetime
    outcome: str
    new_since: int


@dataclass(frozen=True)
class Backlog:
    """Corrections waiting.

    `corrections` counts those confirmed since the last *promoted* training consumed them; `since_last_try` those stored
    since the last training that came to a verdict. `in_vain` is the last try since then that came to none. `lately` is
    how well the champion does beside what was promised of it; None where nothing was, or too few corrections wait.
    `people` counts whom the corrections are about; None where it is about no people.
    """

    corrections: int
    since_last_try: int
    last_trained_at: datetime | None
    in_vain: Try | None = None
    lately: Lately | None = None
    people: int | None = None


@dataclass(frozen=True)
class Asker:
    """Who asks whether a retraining is due: `by` is recorded, `forced_by` wants one whatever the backlog.

    `by_hand`: a person asks, and does not wait for the night or for another try. `idle` begins retrainings, too, and no
    other run of it lives: what one of them claimed is free.
    """

    by: str
    forced_by: str | None = None
    by_hand: bool = False
    idle: str | None = None


@dataclass(frozen=True)
class Claim:
    """`run_id`, begun by `by`, retrains a model type since `since`; nobody else does meanwhile.

    Its process said at `seen_at` that it lives; None where Airflow is asked instead.
    """

    run_id: str
    since: datetime
    by: str = ""
    seen_at: datetime | None = None

    def over(self, now: datetime, idle: str | None = None) -> str | None:
        """Why the claim is void; None while its run may be alive. No run that `idle` began is alive."""
        if self.seen_at is not None and now - self.seen_at > LONGEST_SILENCE:
            return f"died: nothing was heard of it since {self.seen_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if now - self.since > LONGEST_RUN:
            return "lease expired: no retraining takes as long"
        if self.by and self.by == idle:
            return f"died: no run of {self.by} is alive"
        return None

    def __str__(self) -> str:
        since = f"{self.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if self.seen_at is not None:
            minutes = LONGEST_SILENCE.total_seconds() / 60
            since += (
                f", heard of at {self.seen_at.astimezone(UTC):%H:%M} (silent for {minutes:.0f} minutes, it is dead)"
            )
        return (
            f"a retraining is already running: {self.run_id}, since {since}; if it is dead, "
            f"python -m pipeline release-claim {self.run_id} --actor YOU --reason WHY frees the model type"
        )


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
    """Corrections that make one due before the days between trainings are over, at any hour, if the champion is surely
    worse than its verdict promised; without a figure of the holdout in that verdict, they alone."""
    urgent_window_hours: PositiveHours = 24.0
    """Hours of confirmations by which the champion is compared with what its verdict promised."""
    urgent_confidence: TwoSided = 0.99
    """Confidence of the two-sided interval of its corrected verdicts that has to lie above what was promised: 0.99 is
    99.5 % sure."""
    urgent_pause_hours: Hours = 12.0
    """Hours before an urgent one since the last training, or since the last run without a verdict began."""
    min_days: Days = 7.0
    """Days since the last training before another one that is not urgent."""
    retry_hours: Hours = 20.0
    """Hours before corrections are tried again that a retraining was begun with which came to no verdict."""
    cheap: CheapHours = CheapHours()
    """When a retraining that can wait begins"""

    def __post_init__(self) -> None:
        if not 0 < self.min_corrections <= self.urgent_corrections:
            raise ValueError("need 0 < min_corrections <= urgent_corrections")

    def decide(
        self, backlog: Backlog, asker: Asker, *, now: datetime, claim: Claim | None = None
    ) -> RetrainingDecision:
        """Whoever holds the claim blocks everybody else."""
        if claim is not None:
            return self._no(backlog, "running", str(claim))
        if asker.forced_by is not None:
            return RetrainingDecision(True, "forced", f"forced by {asker.forced_by}", backlog)
        if backlog.last_trained_at is None:
            return self._no(backlog, "no_champion", "no model yet: run the first training with force")
        if backlog.corrections < self.min_corrections:
            return self._no(backlog, "too_few", f"{backlog.corrections} corrections, {self.min_corrections} needed")
        return (
            self._tried(backlog, asker, now)
            or self._urgent(backlog, asker, now)
            or self._too_soon(backlog, now)
            or self._by_night(backlog, asker, now)
        )

    def _tried(self, backlog: Backlog, asker: Asker, now: datetime) -> RetrainingDecision | None:
        """The same corrections would be refused again; a try that came to no verdict proves nothing, and costs
        as much.
        """
        if backlog.since_last_try < self.min_corrections:
            return self._no(
                backlog,
                "tried",
                f"{backlog.corrections} corrections were tried already, only {backlog.since_last_try} are new since",
            )
        vain = backlog.in_vain
        if vain is None or asker.by_hand or vain.new_since >= self.min_corrections:
            return None
        again = vain.at + timedelta(hours=self.retry_hours)
        if now >= again:
            return None
        return self._no(
            backlog,
            "tried_in_vain",
            f"{vain.run_id} was begun with these corrections and ended without a verdict ({vain.outcome}), only "
            f"{vain.new_since} are new since: they are tried again from {again.astimezone(UTC):%Y-%m-%d %H:%M} UTC, or "
            "when somebody triggers it",
        )

    def may_be_urgent(self, backlog: Backlog) -> bool:
        """Whether the verdict's promise matters for the decision."""
        return backlog.corrections >= self.urgent_corrections

    def lately(self, serving_since: datetime, now: datetime) -> Period:
        """The period whose confirmations are compared with the promise: a new champion starts afresh."""
        return Period(max(serving_since, now - timedelta(hours=self.urgent_window_hours)), now)

    def _urgent(self, backlog: Backlog, asker: Asker, now: datetime) -> RetrainingDecision | None:
        if not self.may_be_urgent(backlog) or self._pauses(backlog, asker, now) or self._as_promised(backlog):
            return None
        reason = f"{backlog.corrections} corrections reach the urgent {self.urgent_corrections}"
        why = f"{reason}: {backlog.lately}" if backlog.lately else reason
        return RetrainingDecision(True, "urgent", why, backlog)

    def _too_soon(self, backlog: Backlog, now: datetime) -> RetrainingDecision | None:
        if (days := _days(backlog, now)) >= self.min_days:
            return None
        return self._no(
            backlog,
            "too_soon",
            f"{backlog.corrections} corrections, but {days:.1f} of {self.min_days:g} days since the last training"
            f"{self._why_not_urgent(backlog)}",
        )

    def _why_not_urgent(self, backlog: Backlog) -> str:
        if not self.may_be_urgent(backlog):
            return ""
        if self._as_promised(backlog):
            return f"; not urgent: {backlog.lately}"
        return f"; urgent ones wait {self.urgent_pause_hours:g} hours"

    def _as_promised(self, backlog: Backlog) -> bool:
        """Where many people work there are always many corrections: their number alone is no reason to hurry."""
        return backlog.lately is not None and not backlog.lately.surely_worse(self.urgent_confidence)

    def _pauses(self, backlog: Backlog, asker: Asker, now: datetime) -> bool:
        """A run without a verdict costs as much as any other, and where corrections come fast the next one would begin
        at once.
        """
        tried_at = backlog.in_vain.at if backlog.in_vain and not asker.by_hand else None
        begun = [at for at in (backlog.last_trained_at, tried_at) if at is not None]
        return any(now - at < timedelta(hours=self.urgent_pause_hours) for at in begun)

    def _by_night(self, backlog: Backlog, asker: Asker, now: datetime) -> RetrainingDecision:
        reason = f"{backlog.corrections} corrections and {_days(backlog, now):.1f} days since the last training"
        if asker.by_hand or self.cheap.has(now):
            return RetrainingDecision(True, "threshold", reason, backlog)
        return self._no(backlog, "waits_for_night", f"{reason}: it begins when computing is cheap, {self.cheap}")

    @staticmethod
    def _no(backlog: Backlog, rule: str, reason: str) -> RetrainingDecision:
        return RetrainingDecision(False, rule, reason, backlog)


def _days(backlog: Backlog, now: datetime) -> float:
    assert backlog.last_trained_at is not None
    return (now - backlog.last_trained_at).total_seconds() / 86400
