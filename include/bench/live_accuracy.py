"""`python -m include.bench.live_accuracy`: what the monitor's statistics do to good and bad models; writes a table."""

import random
import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

import click

from include.stack.layout import REPOSITORY
from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, Reading, State, Tally

_OUT = REPOSITORY / "include" / "studies" / "live-accuracy.md"
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
    """The monitor's reading after every few confirmations of one champion, from its first on."""
    agreed = [0, *accumulate(right)]
    for seen in range(_A_LOOK, len(right) + 1, _A_LOOK):
        window = _tally(agreed, max(0, seen - _WINDOW), seen)
        recent = _tally(agreed, max(0, seen - _POLICY.min_confirmations), seen)
        yield seen, _POLICY.judge(Observation("v1.0.0", window, recent, Tally()), _NOW)


def rollback_after(right: Sequence[bool]) -> int | None:
    """Confirmations until the rollback, None when there is none."""
    return next((seen for seen, reading in looks(right) if reading.state is State.FAILING), None)


def _tally(agreed: Sequence[int], start: int, end: int) -> Tally:
    return Tally((LabelTally("양호", end - start, agreed[end] - agreed[start]),), _NOW - timedelta(hours=1))


def _verdicts(accuracy: float, count: int, draw: random.Random) -> list[bool]:
    return [draw.random() < accuracy for _ in range(count)]


def _years(accuracy: float, years: int, champions_a_year: int) -> tuple[int, int]:
    """Rollbacks and alert episodes in so many years, with a fresh window for each champion."""
    rollbacks = alerts = 0
    for champion in range(years * champions_a_year):
        draw, open_episode = random.Random(f"{accuracy} {champions_a_year} {champion}"), False
        for _, reading in looks(_verdicts(accuracy, _YEAR // champions_a_year, draw)):
            if reading.state is State.FAILING:
                rollbacks += 1
                break
            if reading.state is State.LOW and not open_episode:
                alerts, open_episode = alerts + 1, True
            if reading.recovered:
                open_episode = False
    return rollbacks, alerts


def _detection(before: float, after: float, runs: int) -> str:
    """Confirmations after a fall from `before` (0: a new champion) until the rollback."""
    times = []
    for run in range(runs):
        draw = random.Random(f"{before} {after} {run}")
        good = _verdicts(before, _WINDOW if before else 0, draw)
        found = rollback_after([*good, *_verdicts(after, 5000, draw)])
        times.append(found - len(good) if found is not None else 5000)
    middle, late = statistics.median(times), statistics.quantiles(times, n=20)[18]
    return f"{middle:.0f} ({middle / _A_DAY:.1f} days) | {late:.0f} ({late / _A_DAY:.1f} days)"


def page(years: int, runs: int) -> str:
    rows = [_HEAD, "", "## Models that are good enough", ""]
    rows += ["| accuracy | champions a year | years | rolled back | alert episodes |", "|---|---|---|---|---|"]
    for accuracy in (0.95, 0.90, 0.88, 0.86):
        for champions in (1, 52):
            rollbacks, alerts = _years(accuracy, years, champions)
            rows.append(f"| {accuracy:.0%} | {champions} | {years} | {rollbacks} | {alerts} |")
    rows += ["", "## Models that are not", "", "Confirmations until the rollback:", ""]
    rows += ["| what happens | half of them within | 95 % within |", "|---|---|---|"]
    for after in (0.78, 0.75, 0.70, 0.50, 0.05):
        rows.append(f"| a new champion is right on {after:.0%} | {_detection(0, after, runs)} |")
    for after in (0.75, 0.60, 0.05):
        rows.append(f"| after a week at 93 % it falls to {after:.0%} | {_detection(0.93, after, runs)} |")
    return "\n".join(rows) + "\n"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--years", default=10, show_default=True)
@click.option("--runs", default=200, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=_OUT)
def main(years: int, runs: int, out: Path) -> None:
    """False rollbacks of good models, detection time of bad ones."""
    out.write_text(page(years, runs))
    click.echo(f"written: {out}")


if __name__ == "__main__":
    main()
