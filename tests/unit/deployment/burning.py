"""Lives of model servers that spend what may go wrong in a month just too fast, and just not.

Two pairs of windows watch each budget. A life is made so that one pair alone is over its bar, and so that a window or a
bar that is a tenth off sees something else: what fails does so at the far end of the window.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.unit.deployment.alert_trials import DAY, HOUR, MINUTE, Trial

_A_SECOND = 100 / 60
# Of the bar: what is over it, and what is not.
_OVER, _UNDER, _FAR_OVER = 1.04, 0.97, 1.5
# Counters that begin with nothing are read otherwise.
_BEFORE = 1e6

Counted = Callable[[Sequence[float], Sequence[float]], Mapping[str, Sequence[float]]]
"""The series of requests and, among them, those that went wrong, both counted from the beginning."""


@dataclass(frozen=True)
class Pair:
    """`bar` is a share of requests. `busier` are ages (seconds, from and to) at which ten times as much comes: by it no
    longer window is over its own bar.
    """

    short: float
    long: float
    bar: float
    busier: tuple[tuple[float, float], ...] = ()


def fast(budget: float) -> tuple[Pair, Pair]:
    return Pair(5 * MINUTE, HOUR, 14.4 * budget), Pair(30 * MINUTE, 6 * HOUR, 6 * budget)


def lasting(budget: float) -> tuple[Pair, Pair]:
    busier = ((2.3 * HOUR, 6 * HOUR), (1.15 * DAY, 4 * DAY))
    return Pair(2 * HOUR, DAY, 3 * budget, busier), Pair(6 * HOUR, 3 * DAY, 1 * budget)


@dataclass(frozen=True)
class Burning:
    pairs: tuple[Pair, Pair]
    counted: Counted

    def trials(self, alert: str) -> list[Trial]:
        told = [trial for number, pair in enumerate(self.pairs) for trial in self._of_pair(number, pair)]
        absent = Trial("data absent", {}, MINUTE, MINUTE, fires=False, every=MINUTE)
        return [*told, *self._of_few_requests(), absent]

    @property
    def _long_ago(self) -> float:
        return 1.2 * max(pair.long for pair in self.pairs)

    def _of_pair(self, number: int, pair: Pair) -> list[Trial]:
        over = self._life(pair, _OVER, _OVER)
        lives = {
            "fires": (over, True),
            "just below, the short window": (self._life(pair, _UNDER, _FAR_OVER), False),
            "just below, the long window": (self._life(pair, _FAR_OVER, _UNDER), False),
        }
        step, at = pair.short / 20, len(over[0]) * pair.short / 20 - pair.short / 20
        told = [
            Trial(f"{name} {number}", self.counted(*life), step, at, fires, every=at)
            for name, (life, fires) in lives.items()
        ]
        calm = [_A_SECOND * step * n for n in range(1, len(over[0]))]
        after = [
            [*counts, *(counts[-1] + more for more in rises)]
            for counts, rises in zip(over, (calm, [0.0] * len(calm)), strict=True)
        ]
        return [*told, Trial(f"resolves {number}", self.counted(*after), step, 2 * at, fires=False, every=at)]

    def _life(self, pair: Pair, short: float, long: float) -> tuple[list[float], list[float]]:
        """Requests and failures; these are such shares of the bar in the two windows at the end."""
        step = pair.short / 20
        ages = [step * n for n in range(round(self._long_ago / step), -1, -1)]
        rate = [_A_SECOND * (10 if any(a < age <= b for a, b in pair.busier) else 1) for age in ages]
        of = {
            window: sum(r * step for r, age in zip(rate, ages, strict=True) if age < window - step / 2)
            for window in (pair.short, pair.long)
        }
        failed_short = _failures(short * pair.bar, of[pair.short])
        failed_long = _failures(long * pair.bar, of[pair.long]) - failed_short
        fails = {round((pair.short / step) - 2): failed_short, round((pair.long / step) - 2): failed_long}
        requests, failures = [_BEFORE * 2], [_BEFORE]
        for r, age in zip(rate[1:], ages[1:], strict=True):
            more = fails.get(round(age / step), 0.0)
            requests.append(requests[-1] + r * step + more)
            failures.append(failures[-1] + more)
        return requests, failures

    def _of_few_requests(self) -> list[Trial]:
        """All fail: in an hour 65 of them, most at its beginning; 57; 30, and more than an hour ago others."""
        lives = {
            "fires, by few": (self._all_fail(0.5, 57, 35), True),
            "just below, too few": (self._all_fail(0.95, 0, 0), False),
            "just below, too long ago": (self._all_fail(0.5, 62, 35), False),
        }
        return [
            Trial(
                name, self.counted(life, life), MINUTE, (len(life) - 1) * MINUTE, fires, every=(len(life) - 1) * MINUTE
            )
            for name, (life, fires) in lives.items()
        ]

    def _all_fail(self, a_minute: float, minutes_ago: int, more: float) -> list[float]:
        counts = [_BEFORE]
        for age in range(round(self._long_ago / MINUTE) - 1, -1, -1):
            counts.append(counts[-1] + a_minute + (more if age == minutes_ago else 0))
        return counts


def _failures(share: float, others: float) -> float:
    """How many beside so many others are such a share of all."""
    return share * others / (1 - share)


def errors(requests: Sequence[float], failures: Sequence[float]) -> Mapping[str, Sequence[float]]:
    named = 'faceserve_requests_total{model="laundry",code="%s",side="stable"}'
    fine = [every - failed for every, failed in zip(requests, failures, strict=True)]
    return {named % "INTERNAL": failures, named % "OK": fine}


def slowness(requests: Sequence[float], failures: Sequence[float]) -> Mapping[str, Sequence[float]]:
    count, quick = (f'faceserve_request_duration_seconds_{name}{{model="laundry"' for name in ("count", "bucket"))
    in_time = [every - late for every, late in zip(requests, failures, strict=True)]
    answered = 'faceserve_requests_total{model="laundry",code="OK",side="stable"}'
    return {count + "}": requests, quick + ',le="0.2"}': in_time, answered: requests}
