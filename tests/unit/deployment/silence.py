"""Lives in which something comes no more: people confirm nothing for just a day, or callers ask nothing
for just an hour; and those in which that is not so.
"""

from dataclasses import dataclass
from itertools import accumulate

from tests.unit.deployment.alert_trials import DAY, HOUR, MINUTE, Trial

_STEP = HOUR / 10
_CONFIRMED = 'retraining_confirmations_total{model="laundry",version="v1.0.0",final_result="양호",corrected="true"}'
_ANSWERED = 'faceserve_requests_total{model="laundry",code="OK",side="stable"}'


@dataclass(frozen=True)
class Silence:
    """Prometheus looks since the beginning; the only confirmation comes right after it, or at `confirmed_at`."""

    def trials(self, alert: str) -> list[Trial]:
        return [
            _trial("fires", 25.4, fires=True),
            _trial("too early", 24.8),
            _trial("just below, few requests", 28, a_day=97),
            _trial("just below, a confirmation within the day", 27, confirmed_at=4),
            _trial("just below, nobody looked a day ago", 24.5, confirmed_at=-1),
            _trial("resolves", 27, also_at=25.8),
            Trial("data absent", {}, _STEP, 26 * HOUR, fires=False, every=_STEP),
        ]


def _trial(
    name: str, hours: float, *, fires: bool = False, a_day: float = 104, confirmed_at: float = 0, also_at: float = 99
) -> Trial:
    seconds = [n * _STEP for n in range(round(hours * HOUR / _STEP) + 1)]
    series = {
        _CONFIRMED: [500 + (t > confirmed_at * HOUR) + (t > also_at * HOUR) for t in seconds],
        _ANSWERED: [10000 + a_day * t / DAY for t in seconds],
    }
    return Trial(name, series, _STEP, hours * HOUR, fires, every=_STEP)


_LOOK = 3 * MINUTE
_SERVES = 'faceserve_active_version{instance="a",model="laundry",version="v1.0.0"}'
_CHAMPION = 'retraining_champion_info{model="laundry",version="v1.0.0"}'


@dataclass(frozen=True)
class NobodyAsks:
    """A few hours of a day a week ago callers asked, and a few hours today; then they stop."""

    def trials(self, alert: str) -> list[Trial]:
        return [
            _quiet("fires", 75, fires=True),
            _quiet("too early", 69),
            _quiet("just below, few asked a week ago", 75, a_second=0.0158),
            _quiet("just below, some still ask", 75, stops=False),
            _quiet("just below, nobody serves", 75, serves=0),
            _quiet("resolves", 100, again_at=80),
            Trial("data absent", {}, _LOOK, DAY, fires=False, every=_LOOK),
        ]


def _quiet(
    name: str,
    minutes: float,
    *,
    fires: bool = False,
    a_second: float = 0.0175,
    stops: bool = True,
    serves: float = 1,
    again_at: float = 999,
) -> Trial:
    """`minutes` after the last request, or the moment when it is the last in other lives."""
    last = 174 * HOUR

    def asked(second: float) -> bool:
        week_ago = second <= 12 * HOUR
        today = second > 170 * HOUR and (not stops or second <= last or second > last + again_at * MINUTE)
        return week_ago or today

    at = last + minutes * MINUTE
    seconds = [n * _LOOK for n in range(round(at / _LOOK) + 1)]
    series: dict[str, list[float]] = {
        _ANSWERED: list(accumulate(a_second * _LOOK * asked(second) for second in seconds)),
        _SERVES: [serves] * len(seconds),
        _CHAMPION: [1.0] * len(seconds),
    }
    return Trial(name, series, _LOOK, at, fires, every=_LOOK)
