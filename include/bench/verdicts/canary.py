"""How canaries of known quality end, and when, with the code that judges real ones (ADR 0011)."""

import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from include.bench.measurement import Figures, Found, Say
from include.bench.photos import LABELS
from pipeline.domain.live_accuracy import LabelTally, Tally
from pipeline.domain.rollout import CanaryPolicy

_ROUNDS, _CHAMPION, _LONGEST_DAYS, _LOOKS_A_DAY = 200, 0.93, 60, 50
_A_DAY = (100, 1_000, 10_000)
_CANDIDATES = {
    "10 points worse": -0.10,
    "5 points worse": -0.05,
    "3 points worse": -0.03,
    "as good": 0.0,
    "2 points better": 0.02,
}
_POLICY = CanaryPolicy()
_BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
_HEAD = f"""# How canaries end

`make bench-verification` draws {_ROUNDS} trials for each line, beside a champion that is right on {_CHAMPION:.0%}.
A canary gets {_POLICY.percent:g} % of the tasks, each is confirmed, and the default policy looks {_LOOKS_A_DAY} times a
day. Proof means: with {_POLICY.confidence:.0%} confidence over all looks not {_POLICY.margin * 100:g} points worse.
Harm is {_POLICY.harm_confidence:.0%} sure. The last column goes on beyond the deadline, to {_LONGEST_DAYS} days.
"""


@dataclass(frozen=True)
class Ends:
    """Shares of trials, 0-1, that end within the deadline; `median_days` until a decision if there were none."""

    a_day: int
    candidate: str
    promoted: float
    aborted: float
    median_days: float

    @property
    def unproven(self) -> float:
        return 1 - self.promoted - self.aborted


def canaries(say: Say) -> Found:
    found = []
    for a_day in _A_DAY:
        found += [simulate(a_day, candidate, _ROUNDS) for candidate in _CANDIDATES]
        say(f"{a_day} confirmations a day: {_ROUNDS} trials of each candidate")
    figures: Figures = {}
    for e in found:
        name = f"{e.candidate.replace(' ', '_')}_{e.a_day}_a_day"
        figures |= {f"promoted_{name}": e.promoted, f"aborted_{name}": e.aborted, f"days_{name}": e.median_days}
    how = f"{_ROUNDS} trials of each candidate beside a champion that is right on {_CHAMPION:.0%}."
    return Found(figures, how, {"canary.md": _page(found).encode()})


def simulate(a_day: int, candidate: str, rounds: int) -> Ends:
    ends = [_trial(a_day, _CHAMPION + _CANDIDATES[candidate], f"{a_day} {candidate} {n}") for n in range(rounds)]
    in_time = [decision for decision, days in ends if days * 24 <= _POLICY.deadline_hours]
    promoted, aborted = in_time.count("promote") / rounds, in_time.count("abort") / rounds
    return Ends(a_day, candidate, promoted, aborted, statistics.median(days for _, days in ends))


def _trial(a_day: int, accuracy: float, seed: str) -> tuple[str, float]:
    """The decision, and after how many days; `wait` when there is none after `_LONGEST_DAYS`."""
    for look, (canary, stable) in enumerate(_tallies(a_day, accuracy, random.Random(seed)), 1):
        verdict = _POLICY.judge(canary, stable, (), started=_BEGUN, now=_BEGUN)
        if verdict.decision != "wait":
            return verdict.decision, look / _LOOKS_A_DAY
    return "wait", float(_LONGEST_DAYS)


def _tallies(a_day: int, accuracy: float, draw: random.Random) -> Iterator[tuple[Tally, Tally]]:
    """What people have said of canary and champion at each look."""
    confirmed, right = [0, 0], [0, 0]
    for _ in range(_LOOKS_A_DAY * _LONGEST_DAYS):
        for _ in range(a_day // _LOOKS_A_DAY):
            stable = draw.random() >= _POLICY.percent / 100
            confirmed[stable] += 1
            right[stable] += draw.random() < (_CHAMPION if stable else accuracy)
        yield _tally(confirmed[0], right[0]), _tally(confirmed[1], right[1])


def _tally(confirmed: int, agreed: int) -> Tally:
    return Tally((LabelTally(LABELS[0], confirmed, agreed),))


def _page(found: Sequence[Ends]) -> str:
    hours = f"within {_POLICY.deadline_hours:g} h"
    columns = ("a day", "canary", f"promoted {hours}", f"harm seen {hours}", "neither", "half of the decisions within")
    lines = [_HEAD, f"| confirmations {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for e in found:
        shares = " | ".join(f"{share:.1%}" for share in (e.promoted, e.aborted, e.unproven))
        lines.append(f"| {e.a_day} | {e.candidate} | {shares} | {_days(e.median_days)} |")
    return "\n".join(lines) + "\n"


def _days(days: float) -> str:
    if days >= _LONGEST_DAYS:
        return f"more than {_LONGEST_DAYS} days"
    return f"{days:.1f} days" if days >= 1 else f"{days * 24:.1f} hours"
