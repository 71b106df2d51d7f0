"""How right the champion is on what people confirm, what is alerted, and when it is taken down (design D16, ADR 0015).

Accuracy here is observed agreement: the share of confirmations that left the AI's verdict as it was. People accept
wrong verdicts when correcting costs effort, so a small blind sample, whose reviewers did not see the verdict, stands
beside it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Protocol

from pipeline.domain.bounds import AtLeastOne, Minutes, PositiveDays, PositiveHours, Range, Share, TwoSided
from pipeline.domain.history import History
from pipeline.domain.percents import percent
from pipeline.domain.statistics import wilson


class State(StrEnum):
    """`UNKNOWN` when confirmations are too few or too old to tell: silence is not health."""

    UNKNOWN = "unknown"
    OK = "ok"
    LOW = "low"
    FAILING = "failing"


@dataclass(frozen=True)
class LabelTally:
    """Of photos that people called `label`: how many were confirmed, and on how many the AI had said so too."""

    label: str
    confirmed: int
    agreed: int


@dataclass(frozen=True)
class Tally:
    """Confirmations of one version's verdicts; `newest` is when the last of them was given."""

    labels: tuple[LabelTally, ...] = ()
    newest: datetime | None = None

    @property
    def confirmed(self) -> int:
        return sum(label.confirmed for label in self.labels)

    @property
    def agreed(self) -> int:
        return sum(label.agreed for label in self.labels)

    @property
    def accuracy(self) -> float | None:
        return self.agreed / self.confirmed if self.confirmed else None


@dataclass(frozen=True)
class Period:
    """From `since`, which is not in it, until `until`, which is."""

    since: datetime
    until: datetime


def demand_window(window_hours: float, matured_minutes: float) -> None:
    """Raises `ValueError` when nothing would ever count."""
    if matured_minutes >= window_hours * 60:
        raise ValueError("window_hours must be longer than matured_minutes: no confirmation would ever count")


class Maturing:
    """What a policy knows whose confirmations count once they are `matured_minutes` old, when late ones are in."""

    matured_minutes: float
    silent_days: float

    def matured(self, now: datetime) -> datetime:
        """What is newer does not count yet, and its absence says nothing."""
        return now - timedelta(minutes=self.matured_minutes)

    def silent_since(self, newest: datetime | None, serving_since: datetime, now: datetime) -> datetime | None:
        """Since when no confirmation came, once that is too long. `newest` may be older than any that counts."""
        since = newest or serving_since
        return since if self.matured(now) - since > timedelta(days=self.silent_days) else None


def no_news(version: str, newest: datetime, stale_hours: float) -> str:
    return (
        f"unknown: the newest matured confirmation of {version} is from {newest.isoformat()}, "
        f"and none matured for {stale_hours:g} hours"
    )


@dataclass(frozen=True)
class Observation:
    """What was seen of the champion: the whole window, its newest part, and the blind sample in it."""

    version: str
    window: Tally
    recent: Tally
    blind: Tally


@dataclass(frozen=True)
class Reading:
    """One look at the champion. `low`-`high` is the two-sided interval of `accuracy` at the rollback's confidence."""

    version: str
    state: State
    reason: str
    confirmed: int
    agreed: int
    accuracy: float | None
    low: float
    high: float
    recovered: bool

    @property
    def alarming(self) -> bool:
        return self.state in {State.LOW, State.FAILING}

    @property
    def failing(self) -> bool:
        return self.state is State.FAILING


@dataclass(frozen=True)
class LiveAccuracyPolicy(Maturing):
    """Alerts when it is likely that accuracy is too low, condemns when it is sure; both on enough confirmations.

    Confirmations count once they are `matured_minutes` old, so that late ones and corrections of the same minute are
    in. An alert looks at the whole window. A fall is judged on the newest `min_confirmations` too, which a long good
    past cannot hide; they are other confirmations at every look, and among many looks one is low by chance, so a
    verdict on them needs more confidence.
    """

    window_hours: PositiveHours = 168.0
    """Live accuracy counts confirmations that are at most this many hours old."""
    min_confirmations: AtLeastOne = 100
    """Fewer matured confirmations say nothing: the state is `unknown`."""
    matured_minutes: Minutes = 60.0
    """Live accuracy counts confirmations that are at least this many minutes old, when late ones are in."""
    stale_hours: PositiveHours = 48.0
    """When no confirmation has matured for this many hours, the state is `unknown`."""
    silent_days: PositiveDays = 3.0
    """Without a confirmation of the champion for this many days people are told: nothing is rolled back by itself."""
    alert_accuracy: Share = 0.85
    """Live accuracy below which people are told, when it is likely."""
    rollback_accuracy: Share = 0.80
    """Live accuracy below which the champion is taken down, when it is sure."""
    alert_confidence: TwoSided = 0.80
    """Confidence of the two-sided interval that has to lie below the bar before people are told: 0.8 is 90 % sure."""
    rollback_confidence: TwoSided = 0.95
    """Confidence of the two-sided interval, over the window, that has to lie below the bar before the champion is taken
    down: 0.95 is 97.5 % sure."""
    recent_confidence: TwoSided = 0.995
    """The same on the newest confirmations alone, which are looked at many times, of a two-sided interval, too: 0.995
    is 99.75 % sure."""
    recovery_margin: Share = 0.02
    """How far above the alert accuracy has to rise before the state is well again."""
    recognise_seconds: Annotated[float, Range(at_least=1, at_most=240)] = 90.0
    """For so many seconds a look at new photos goes on, to see which show the same; what is left waits for the next."""

    def __post_init__(self) -> None:
        if self.rollback_accuracy > self.alert_accuracy:
            raise ValueError("rollback_accuracy must not be above alert_accuracy: people are told before it acts")
        if self.alert_accuracy + self.recovery_margin > 1:
            raise ValueError("alert_accuracy and recovery_margin together must not be above 1: no alarm would ever end")
        demand_window(self.window_hours, self.matured_minutes)

    def period(self, serving_since: datetime, now: datetime) -> Period:
        """When confirmations of the champion count: a new champion starts a fresh window."""
        window = self.window(now)
        return Period(max(serving_since, window.since), window.until)

    def window(self, now: datetime) -> Period:
        """When confirmations of any version count."""
        return Period(now - timedelta(hours=self.window_hours), self.matured(now))

    def judge(self, seen: Observation, now: datetime) -> Reading:
        window = seen.window
        interval = wilson(window.agreed, window.confirmed, self.rollback_confidence)
        state, reason = self._state(seen, now)
        accuracy = window.accuracy
        recovered = (
            state is State.OK and accuracy is not None and accuracy >= self.alert_accuracy + self.recovery_margin
        )
        return Reading(
            seen.version,
            state,
            reason,
            window.confirmed,
            window.agreed,
            accuracy,
            interval.low,
            interval.high,
            recovered,
        )

    def _state(self, seen: Observation, now: datetime) -> tuple[State, str]:
        window = seen.window
        if window.confirmed < self.min_confirmations or window.newest is None:
            return State.UNKNOWN, (
                f"unknown: {window.confirmed} matured confirmations of {seen.version}, {self.min_confirmations} needed"
            )
        if self.matured(now) - window.newest > timedelta(hours=self.stale_hours):
            return State.UNKNOWN, no_news(seen.version, window.newest, self.stale_hours)
        for part, tally, confidence in (
            ("", window, self.rollback_confidence),
            ("newest ", seen.recent, self.recent_confidence),
            ("blindly reviewed ", seen.blind, self.rollback_confidence),
        ):
            if self._surely_below(tally, self.rollback_accuracy, confidence):
                return State.FAILING, self._sentence(seen.version, part, tally, self.rollback_accuracy)
        if self._surely_below(window, self.alert_accuracy, self.alert_confidence):
            return State.LOW, self._sentence(seen.version, "", window, self.alert_accuracy)
        return State.OK, f"{seen.version} agrees with {_share(window, '', self.alert_accuracy)}"

    def _surely_below(self, tally: Tally, bar: float, confidence: float) -> bool:
        enough = tally.confirmed >= self.min_confirmations
        return enough and wilson(tally.agreed, tally.confirmed, confidence).high < bar

    def _sentence(self, version: str, part: str, tally: Tally, bar: float) -> str:
        bounds = wilson(tally.agreed, tally.confirmed, self.rollback_confidence)
        interval = f"{percent(bounds.low, bar)}-{percent(bounds.high, bar)}"
        below = percent(bar, bar, digits=0)
        return f"{version} agrees with {_share(tally, part, bar)}, interval {interval}: below {below}"


class Found(Protocol):
    """What a look at a champion came to, whatever was counted: people are told when it is `alarming`, it is taken down
    when it is `failing`, and all is well again when it is `recovered`.
    """

    @property
    def version(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def alarming(self) -> bool: ...

    @property
    def failing(self) -> bool: ...

    @property
    def recovered(self) -> bool: ...


@dataclass(frozen=True)
class RollbackDecision:
    """Whether the monitor acts, and why or why not; `target` is the version to bring back."""

    act: bool
    reason: str
    target: str | None = None

    @property
    def consequence(self) -> str:
        """What follows, as a sentence without its full stop."""
        return f"The monitor rolls it back to {self.target}" if self.act else self.reason


def decide_rollback(reading: Found, history: History) -> RollbackDecision:
    """At most once per version, and never while promotions are frozen: after one automatic step a person looks."""
    if not reading.failing:
        return RollbackDecision(False, reading.reason)
    if (freeze := history.freeze) is not None:
        return RollbackDecision(
            False, f"{reading.reason}; not rolled back: {freeze.from_version} was before, and a person has to look"
        )
    if reading.version in history.condemned:
        return RollbackDecision(False, f"{reading.reason}; not rolled back again: a person put it back")
    if history.sound_target is None:
        return RollbackDecision(False, f"{reading.reason}; not rolled back: no sound version served before it")
    return RollbackDecision(True, reading.reason, history.sound_target)


def _share(tally: Tally, part: str = "", *bars: float) -> str:
    share = percent(tally.agreed / tally.confirmed, *bars)
    return f"{tally.agreed} of {tally.confirmed} {part}confirmations ({share})"
