"""What the monitor's statistics do to good and bad models, with the code that watches real ones."""

import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from include.bench.measurement import Figures, Found, Say
from include.bench.photos import LABELS
from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, Reading, State, Tally

_YEARS, _RUNS, _LONGEST = 10, 200, 5000
_A_DAY, _A_LOOK = 192, 2
_YEAR = 365 * _A_DAY
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_POLICY = LiveAccuracyPolicy()
_WINDOW = round(_POLICY.window_hours / 24 * _A_DAY)
_HEAD = f"""# What the live accuracy monitor does

`make bench-live` simulates branch managers who confirm {_A_DAY} verdicts a day (binomial noise, no correlation) and a
monitor that looks every 15 minutes, with the default settings and the code that watches real models: a window of
{_POLICY.window_hours / 24:g} days, at least {_POLICY.min_confirmations} confirmations, an alert when accuracy is likely
below {_POLICY.alert_accuracy:.0%} ({_POLICY.alert_confidence:.0%} interval), a rollback when the window
({_POLICY.rollback_confidence:.0%}) or its newest {_POLICY.min_confirmations} ({_POLICY.recent_confidence:.1%}) are
surely below {_POLICY.rollback_accuracy:.0%}.
"""


def looks(right: Sequence[bool]) -> Iterator[tuple[int, Reading]]:
    """Readings of the monitor, one after every few confirmations of a champion."""
    agreed = [0, *accumulate(right)]
    for seen in range(_A_LOOK, len(right) + 1, _A_LOOK):
        window = _tally(agreed, max(0, seen - _WINDOW), seen)
        recent = _tally(agreed, max(0, seen - _POLICY.min_confirmations), seen)
        yield seen, _POLICY.judge(Observation("v1.0.0", window, recent, Tally()), _NOW)


def rollback_after(right: Sequence[bool]) -> int | None:
    """Confirmations until the rollback, None when there is none."""
    return next((seen for seen, reading in looks(right) if reading.state is State.FAILING), None)


def _tally(agreed: Sequence[int], start: int, end: int) -> Tally:
    return Tally((LabelTally(LABELS[0], end - start, agreed[end] - agreed[start]),), _NOW - timedelta(hours=1))


def _verdicts(accuracy: float, count: int, draw: random.Random) -> list[bool]:
    return [draw.random() < accuracy for _ in range(count)]


def live_accuracy(say: Say) -> Found:
    """False rollbacks of good models, and how soon bad ones are noticed."""
    good = [_good(accuracy, champions) for accuracy in (0.95, 0.90, 0.88, 0.86) for champions in (1, 52)]
    say(f"{len(good)} kinds of good models over {_YEARS} years each")
    bad = [_bad(None, after) for after in (0.78, 0.75, 0.70, 0.50, 0.05)]
    bad += [_bad(0.93, after) for after in (0.75, 0.60, 0.05)]
    figures: Figures = {"rollbacks_of_good_models": sum(one.rollbacks for one in good)}
    figures |= {f"confirmations_until_rollback_{one.name}": one.half for one in bad}
    how = (
        f"{_A_DAY} verdicts a day; {_YEARS} years of good models, {_RUNS} runs of bad ones, half of which ended within."
    )
    return Found(figures, how, {"live-accuracy.md": page(good, bad).encode()})


@dataclass(frozen=True)
class Good:
    """What the monitor did in so many years to champions that are good enough, each with a window of its own."""

    accuracy: float
    champions_a_year: int
    rollbacks: int
    alerts: int


@dataclass(frozen=True)
class Bad:
    """Confirmations until a rollback: in half of the runs, and in 95 % of them; `before` None is a new champion."""

    before: float | None
    after: float
    half: float
    most: float

    @property
    def name(self) -> str:
        return f"{'fall_to' if self.before else 'new_at'}_{self.after * 100:.0f}"


def _good(accuracy: float, champions_a_year: int) -> Good:
    seen = [_champion(accuracy, champions_a_year, number) for number in range(_YEARS * champions_a_year)]
    return Good(accuracy, champions_a_year, sum(fell for fell, _ in seen), sum(alerts for _, alerts in seen))


def _champion(accuracy: float, champions_a_year: int, number: int) -> tuple[bool, int]:
    """Whether this champion is rolled back, and how many alerts begin before that."""
    draw, alerts, is_open = random.Random(f"{accuracy} {champions_a_year} {number}"), 0, False
    for _, reading in looks(_verdicts(accuracy, _YEAR // champions_a_year, draw)):
        if reading.state is State.FAILING:
            return True, alerts
        alerts += reading.state is State.LOW and not is_open
        is_open = (is_open or reading.state is State.LOW) and not reading.recovered
    return False, alerts


def _bad(before: float | None, after: float) -> Bad:
    times = [_confirmations_until_rollback(before, after, run) for run in range(_RUNS)]
    return Bad(before, after, statistics.median(times), statistics.quantiles(times, n=20)[18])


def _confirmations_until_rollback(before: float | None, after: float, run: int) -> int:
    draw = random.Random(f"{before or 0} {after} {run}")
    good = _verdicts(before, _WINDOW, draw) if before else []
    found = rollback_after([*good, *_verdicts(after, _LONGEST, draw)])
    return _LONGEST if found is None else found - len(good)


def page(good: Sequence[Good], bad: Sequence[Bad]) -> str:
    rows = [_HEAD, "## Models that are good enough", ""]
    rows += ["| accuracy | champions a year | years | rolled back | alert episodes |", "|---|---|---|---|---|"]
    rows += [f"| {g.accuracy:.0%} | {g.champions_a_year} | {_YEARS} | {g.rollbacks} | {g.alerts} |" for g in good]
    rows += ["", "## Models that are not", "", "Confirmations until the rollback:", ""]
    rows += ["| what happens | half of them within | 95 % within |", "|---|---|---|"]
    rows += [f"| {_what_happens(b)} | {_days(b.half)} | {_days(b.most)} |" for b in bad]
    return "\n".join(rows) + "\n"


def _what_happens(bad: Bad) -> str:
    if bad.before is None:
        return f"a new champion is right on {bad.after:.0%}"
    return f"after a week at {bad.before * 100:.0f} % it falls to {bad.after:.0%}"


def _days(confirmations: float) -> str:
    return f"{confirmations:.0f} ({confirmations / _A_DAY:.1f} days)"
