"""When a face model refuses, or lets in, too many people wrongly: what is alerted, and when it is taken down.

Each of the two rates is held against a bar, and against the version that a rollback would bring back, by intervals that
count people (ADR 0017). Few people say nothing: then the state is unknown, which nobody is rolled back for. What the
defaults keep of their promise: `tests/unit/pipeline/domain/faces/test_watching.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pipeline.domain.bounds import AtLeastOne, Minutes, PositiveDays, PositiveHours, Share, TwoSided
from pipeline.domain.faces.live import NOTHING_SAID, LiveFaceRates, Rate
from pipeline.domain.live_accuracy import Maturing, Period, demand_window, no_news
from pipeline.domain.percents import percent


class FaceState(StrEnum):
    """Worst first: when the two rates disagree, the worse state counts."""

    FAILING = "failing"
    WARN = "warn"
    UNKNOWN = "unknown"
    OK = "ok"


class Which(StrEnum):
    REFUSED = "wrongly refused"
    ACCEPTED = "wrongly let in"

    def of(self, rates: LiveFaceRates) -> Rate:
        return rates.wrongly_refused if self is Which.REFUSED else rates.wrongly_accepted


@dataclass(frozen=True)
class Reason:
    """`state` is the state it supports; `which` is the rate it is about, None for both."""

    state: FaceState
    which: Which | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class FaceObservation:
    """What people said of the champion's checks: in the whole window, and in its newest part.

    `before` is the version that a rollback would bring back, in its own last window; `newest` when the last word of
    its reign came, however long ago.
    """

    window: LiveFaceRates
    recent: LiveFaceRates
    before: LiveFaceRates | None = None
    newest: datetime | None = None


@dataclass(frozen=True)
class FaceReading:
    """One look at a face champion. `recovered`: both rates are well below what people are told of.

    `unnamed` and `misnamed` are as in `LiveFaceRates`; the other two decide.
    """

    version: str
    state: FaceState
    reasons: tuple[Reason, ...]
    refused: Rate
    accepted: Rate
    recovered: bool
    unnamed: Rate = NOTHING_SAID
    misnamed: Rate = NOTHING_SAID

    @property
    def reason(self) -> str:
        return "; ".join(map(str, self.reasons))

    @property
    def alarming(self) -> bool:
        return self.state in {FaceState.WARN, FaceState.FAILING}

    @property
    def failing(self) -> bool:
        return self.state is FaceState.FAILING


@dataclass(frozen=True)
class Bars:
    """Bars of one rate: the share from which people are told, the share from which a version is taken down, and the
    excess over the version before for which it is taken down; people are told from half of that excess.
    """

    alert: float
    most: float
    margin: float


@dataclass(frozen=True)
class FaceWatchPolicy(Maturing):
    """Rates are shares, 0-1: of checks that showed the person how many were refused, and of those let in, as far as a
    person looked, how many showed somebody else.

    Confirmations count once they are `matured_minutes` old. What is judged on the newest hours alone, which a long good
    past cannot hide, is judged on other confirmations again and again, and needs more confidence.
    """

    window_hours: PositiveHours = 168.0
    """Faces: confirmations count that are at most this many hours old."""
    recent_hours: PositiveHours = 24.0
    """Faces: the newest hours of these are judged by themselves, too."""
    matured_minutes: Minutes = 60.0
    """Faces: confirmations count that are at least this many minutes old, when late ones are in."""
    min_people: AtLeastOne = 30
    """Faces: a rate of fewer people says nothing, and the state is `unknown`."""
    stale_hours: PositiveHours = 48.0
    """Faces: without a confirmation that matured for this many hours the state is `unknown`."""
    silent_days: PositiveDays = 3.0
    """Faces: without a confirmation of the champion for this many days people are told."""
    alert_refused: Share = 0.1
    """Share of wrongly refused checks that people are told of, when it is likely."""
    max_refused: Share = 0.2
    """Share of wrongly refused checks for which the champion is taken down, when it is sure."""
    refused_margin: Share = 0.1
    """How much larger that share may be than the version's before; people are told of half of it."""
    alert_accepted: Share = 0.02
    """Share of checks let in wrongly that people are told of, when it is likely."""
    max_accepted: Share = 0.05
    """Share of checks let in wrongly for which the champion is taken down, when it is sure."""
    accepted_margin: Share = 0.03
    """How much larger that share may be than the version's before; people are told of half of it."""
    alert_confidence: TwoSided = 0.9
    """Faces: confidence of the two-sided interval of a rate that has to lie above the bar before people are told: 0.9
    is 95 % sure."""
    confidence: TwoSided = 0.99
    """Faces: the same of a two-sided exact interval, over the window, before the champion is taken down: 0.99 is 99.5 %
    sure."""
    recent_confidence: TwoSided = 0.999
    """Faces: the same, two-sided, on the newest hours alone: 0.999 is 99.95 % sure."""
    recovery: Share = 0.8
    """Part of what people are told of, below which both rates have to fall before the state is well again."""

    def __post_init__(self) -> None:
        if self.alert_refused > self.max_refused or self.alert_accepted > self.max_accepted:
            raise ValueError("alert_refused and alert_accepted must not be above max_refused and max_accepted")
        demand_window(self.window_hours, self.matured_minutes)

    def window(self, serving_since: datetime, now: datetime) -> Period:
        """When confirmations of the champion count: a new champion starts a fresh window."""
        return Period(max(serving_since, now - timedelta(hours=self.window_hours)), self.matured(now))

    def recent(self, window: Period) -> Period:
        return Period(max(window.since, window.until - timedelta(hours=self.recent_hours)), window.until)

    def last_of(self, served_until: datetime) -> Period:
        """When confirmations count of a version that no longer serves."""
        return Period(served_until - timedelta(hours=self.window_hours), served_until)

    def bars(self, which: Which) -> Bars:
        if which is Which.REFUSED:
            return Bars(self.alert_refused, self.max_refused, self.refused_margin)
        return Bars(self.alert_accepted, self.max_accepted, self.accepted_margin)

    def judge(self, seen: FaceObservation, now: datetime) -> FaceReading:
        silence = self._silence(seen, now)
        found = (silence,) if silence else tuple(self._said_of(which, seen) for which in Which)
        reasons = tuple(sorted(found, key=lambda one: list(FaceState).index(one.state)))
        state = reasons[0].state
        rates = seen.window
        recovered = state is FaceState.OK and all(self._is_well(which, seen) for which in Which)
        both = rates.wrongly_refused, rates.wrongly_accepted
        return FaceReading(rates.version, state, reasons, *both, recovered, rates.unnamed, rates.misnamed)

    def _silence(self, seen: FaceObservation, now: datetime) -> Reason | None:
        version = seen.window.version
        if seen.newest is None:
            return Reason(FaceState.UNKNOWN, None, f"unknown: nobody confirmed a check of {version}")
        if self.matured(now) - seen.newest <= timedelta(hours=self.stale_hours):
            return None
        return Reason(FaceState.UNKNOWN, None, no_news(version, seen.newest, self.stale_hours))

    def _said_of(self, which: Which, seen: FaceObservation) -> Reason:
        """The worst that can be said of this rate."""
        rate, version = which.of(seen.window), seen.window.version
        if not self.is_known(rate.people):
            few = f"unknown: how many {version} {_did(which)}: {rate.people} people, {self.min_people} needed"
            return Reason(FaceState.UNKNOWN, which, few)
        worse = next(iter((*self._failing(which, seen), *self._warning(which, seen))), None)
        return worse or Reason(FaceState.OK, which, _told(version, which, rate))

    def _failing(self, which: Which, seen: FaceObservation) -> Iterator[Reason]:
        bars = self.bars(which)
        parts = (("", seen.window, self.confidence), ("lately ", seen.recent, self.recent_confidence))
        for part, rates, confidence in parts:
            rate = which.of(rates)
            if self.is_known(rate.people) and rate.surely_above(bars.most, confidence):
                sentence = f"{part}{_told(rates.version, which, rate, bars.most)}: above {_bar(bars.most)}"
                yield Reason(FaceState.FAILING, which, sentence)
        if (before := self._before(which, seen)) and which.of(seen.window).surely_more_than(
            before, bars.margin, self.confidence
        ):
            yield _worse(which, seen, FaceState.FAILING, bars.margin)

    def _warning(self, which: Which, seen: FaceObservation) -> Iterator[Reason]:
        bars, rate = self.bars(which), which.of(seen.window)
        if rate.sure(self.alert_confidence).low > bars.alert:
            sentence = f"{_told(seen.window.version, which, rate, bars.alert)}: above {_bar(bars.alert)}"
            yield Reason(FaceState.WARN, which, sentence)
        half = bars.margin / 2
        if (before := self._before(which, seen)) and rate.more_than(before, self.alert_confidence).low > half:
            yield _worse(which, seen, FaceState.WARN, half)

    def _before(self, which: Which, seen: FaceObservation) -> Rate | None:
        """The earlier version's rate that this one is compared with; None while nobody knows it."""
        theirs = which.of(seen.before) if seen.before else None
        return theirs if theirs is not None and self.is_known(theirs.people) else None

    def is_known(self, people: int) -> bool:
        """Whether so many people behind a rate say anything."""
        return people >= self.min_people

    def _is_well(self, which: Which, seen: FaceObservation) -> bool:
        bars, share = self.bars(which), which.of(seen.window).share or 0.0
        theirs = self._before(which, seen)
        beside = theirs.share if theirs else None
        no_worse = beside is None or share - beside <= self.recovery * bars.margin / 2
        return share <= self.recovery * bars.alert and no_worse


def _did(which: Which) -> str:
    return "refused wrongly" if which is Which.REFUSED else "let in wrongly"


def _worse(which: Which, seen: FaceObservation, state: FaceState, margin: float) -> Reason:
    before = seen.before
    said = _told(seen.window.version, which, which.of(seen.window))
    beside = f"{before.version} {which.of(before).share:.1%}" if before else ""
    return Reason(state, which, f"{said}, {beside}: more by over {margin * 100:.1f} pp")


def _bar(share: float) -> str:
    return percent(share, share)


def _told(version: str, which: Which, rate: Rate, *bars: float) -> str:
    sure = rate.interval
    share = "unknown" if rate.share is None else percent(rate.share, *bars)
    return (
        f"{version} {_did(which)} {rate.failed} of {rate.checks} checks of {rate.people} people "
        f"({share}, interval {percent(sure.low, *bars)}-{percent(sure.high, *bars)})"
    )
