"""What became of the month, for people."""

from collections.abc import Sequence
from dataclasses import dataclass

from include.bench.scale.people import AFTER_THE_FALL, PROMISED
from include.bench.scale.replay import INTAKE, LOOKS_EVERY, Due, Replay
from include.bench.scale.timing import OURS, Times

_MOST_QUESTIONS = 10


@dataclass(frozen=True)
class Decided:
    """How often the policy gave one answer."""

    rule: str
    due: bool
    times: int


@dataclass(frozen=True)
class Kept:
    """`rows` of a table, and its bytes with indexes."""

    table: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Chosen:
    """What one run takes of so many corrections that wait, and how long the Helper database looked."""

    waiting: int
    taken: int
    branches: int
    of_branches: int
    seconds: float


@dataclass(frozen=True)
class Lived:
    """One of `scale` confirmations, in `seconds`; `log_bytes` is what PostgreSQL wrote ahead."""

    scale: int
    replay: Replay
    seconds: float
    decided: Sequence[Decided]
    kept: Sequence[Kept]
    log_bytes: int
    chosen: Chosen

    @property
    def confirmations(self) -> int:
        return next(one.rows for one in self.kept if one.table == "task_confirmations")

    @property
    def stored_per_second(self) -> float:
        """By one intake in one process."""
        return self.confirmations / self.replay.times.total(INTAKE)

    @property
    def questions(self) -> list[str]:
        """What adapters asked, the slowest first."""
        return [name for name in self.replay.times.slowest_first() if ":" not in name and name != OURS]

    @property
    def steps(self) -> list[str]:
        return [name for name in self.replay.times.slowest_first() if ":" in name]


def page(lived: Lived) -> str:
    times, due = lived.replay.times, lived.replay.due
    answers = [(f"`{one.rule}`", "yes" if one.due else "no", one.times) for one in lived.decided]
    tables = [(f"`{one.table}`", one.rows, one.bytes / 1e6) for one in lived.kept]
    parts = (
        _head(lived),
        "## What was decided",
        _table(("rule", "due", "decisions"), answers),
        "Trainings that began:",
        _table(("when", "rule", "outcome", "reason"), [_training(lived, one) for one in due]),
        "## What is kept",
        _table(("table", "rows", "MB with indexes"), tables),
        f"PostgreSQL wrote {lived.log_bytes / 1e6:,.0f} MB of log ahead of them.",
        "## What takes how long",
        _of_times("step", times, lived.steps),
        f"The intake, one process, stored {lived.stored_per_second:,.0f} confirmations a second.",
        f"The {_MOST_QUESTIONS} slowest questions to the database, by who asks:",
        _of_times("question", times, lived.questions[:_MOST_QUESTIONS]),
        "## What a run takes",
        _of_chosen(lived.chosen),
    )
    return "\n\n".join(parts) + "\n"


def _head(lived: Lived) -> str:
    part = f"one in {lived.scale} of its confirmations" if lived.scale > 1 else "all of its confirmations"
    falls = (lived.replay.month.falls_at - lived.replay.month.begins).days + 1
    hours = LOOKS_EVERY.total_seconds() / 3600
    return f"""# A month of ten million confirmations

`make bench-scale` replays a month, {part}, in {lived.seconds / 60:.0f} minutes on a PostgreSQL of its own.
They are {lived.confirmations:,} of 300 branches, in ten hours a day but on Sundays, one with four times the mean.

What takes them in, decides, watches and tells is the code of production, over one connection that stays open.
A training only leaves the rows that a real one leaves, an hour and a half later.
{PROMISED:.0%} of what the models say is wrong, as they promised; from day {falls} on {AFTER_THE_FALL:.0%},
until a model is live that has learned the new kinds.
The policy is asked every half hour in which people work, and once a night.
Monitor and exporter look every {hours:g} hours, which is less often than in production.

`SCALE=1 make bench-scale` replays all ten million: rows and bytes of confirmations grow as their number does."""


def _training(lived: Lived, due: Due) -> tuple[object, ...]:
    day = (due.at - lived.replay.month.begins).days + 1
    return (f"day {day}, {due.at:%H:%M} UTC", f"`{due.begun.rule}`", due.outcome, due.begun.reason)


def _of_times(first: str, times: Times, names: Sequence[str]) -> str:
    rows = [
        (name, times.times(name), f"{times.half(name) * 1000:,.1f} ms", f"{times.longest(name) * 1000:,.0f} ms")
        for name in names
    ]
    return _table((first, "times", "half of them within", "longest"), rows)


def _of_chosen(chosen: Chosen) -> str:
    return (
        f"After a week of the whole ten million {chosen.waiting:,} corrections wait. "
        f"A run takes {chosen.taken}, of {chosen.branches} of {chosen.of_branches} branches. "
        f"The Helper database takes {chosen.seconds:.2f} s to find them."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
