"""Lives in which people get verdicts, and confirm none for just a day, or just not."""

from dataclasses import dataclass

from tests.unit.deployment.alert_trials import DAY, HOUR, Trial

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
