"""What a version is worth to the people who review: errors avoided and seconds saved, compared with the one it
replaced.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from pipeline.domain.history import History
from pipeline.domain.statistics import difference

# With fewer confirmations, or fewer with a review time, the interval is too wide to say anything.
ENOUGH = 30
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Reviewed:
    """Confirmations of a version that count; `timed` of them took `seconds` together, and `squares` is the sum of their
    squares.
    """

    version: str
    corrected: bool
    counting: int
    timed: int
    seconds: float
    squares: float


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; below zero is a loss."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Worth:
    """Over all `verdicts` of the version that people confirmed. `against` is the version that it replaced when it
    served first; None for the first one. `open` says what keeps an estimate from being told.
    """

    version: str
    against: str | None
    verdicts: int
    errors_avoided: Estimate | None
    seconds_saved: Estimate | None
    open: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Reviews:
    counting: int = 0
    wrong: int = 0
    timed: int = 0
    seconds: float = 0.0
    squares: float = 0.0

    def and_(self, more: Reviewed) -> "_Reviews":
        return _Reviews(
            self.counting + more.counting,
            self.wrong + more.counting * more.corrected,
            self.timed + more.timed,
            self.seconds + more.seconds,
            self.squares + more.squares,
        )

    @property
    def mean(self) -> float:
        return self.seconds / self.timed

    @property
    def squared_error(self) -> float:
        """The squared standard error of the mean."""
        spread = max(0.0, self.squares - self.timed * self.mean**2) / (self.timed - 1)
        return spread / self.timed


def worth(history: History, reviewed: Iterable[Reviewed]) -> list[Worth]:
    """The worth of every version that served, in the order in which they first served."""
    found: dict[str, _Reviews] = {}
    for row in reviewed:
        found[row.version] = found.get(row.version, _Reviews()).and_(row)
    replaced: dict[str, str | None] = {}
    for change in history.changes:
        replaced.setdefault(change.version, change.before)
    return [_worth(version, before, found) for version, before in replaced.items()]


def _worth(version: str, before: str | None, found: Mapping[str, _Reviews]) -> Worth:
    now, then = found.get(version, _Reviews()), found.get(before or "", _Reviews())
    if before is None:
        return Worth(
            version, None, now.counting, None, None, ("it was the first: there is nothing to compare it with",)
        )
    confirmed = _missing("confirmations", {version: now.counting, before: then.counting})
    timed = _missing("timed reviews", {version: now.timed, before: then.timed})
    return Worth(
        version,
        before,
        now.counting,
        None if confirmed else _errors_avoided(now, then),
        None if timed else _seconds_saved(now, then),
        (*confirmed, *timed),
    )


def _missing(what: str, counts: Mapping[str, int]) -> Sequence[str]:
    return [f"{count} {what} of {version}, {ENOUGH} needed" for version, count in counts.items() if count < ENOUGH]


def _errors_avoided(now: _Reviews, then: _Reviews) -> Estimate:
    fewer = difference((then.wrong, then.counting), (now.wrong, now.counting))
    value = then.wrong / then.counting - now.wrong / now.counting
    return Estimate(now.counting * value, now.counting * fewer.low, now.counting * fewer.high)


def _seconds_saved(now: _Reviews, then: _Reviews) -> Estimate:
    """Seconds saved, as if reviews without a time had taken as long as the others."""
    value = then.mean - now.mean
    half = _Z * math.sqrt(now.squared_error + then.squared_error)
    return Estimate(now.counting * value, now.counting * (value - half), now.counting * (value + half))
