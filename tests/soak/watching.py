"""What must not grow: memory, descriptors and threads of each program between two starts, and rows of tables."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import psutil

from include.stack.supervision import Supervision
from tests.faults.world import World

# What a program needs to get warm after its start, at least, and as a share of its life: backends of PostgreSQL open
# files as they meet tables. Shorter lives say nothing.
_WARM_SECONDS, _WARM_SHARE, _SHORTEST_SECONDS = 60.0, 0.25, 240.0
_GROWTH_SHARE = 0.01
# Less than that is how many connections happen to be open, or a page of memory here and there.
_NOISE: Mapping[str, float] = {"memory MB": 6.0, "descriptors": 12.0, "threads": 6.0}

# Why a table may have more rows at the end than it had; all others stay as they are.
GROWS = {
    "task_confirmations": "one a confirmation, for ever",
    "confirmation_totals": "one a day, version and kind of word",
    "correction_days": "two a day",
    "prediction_totals": "one a version, branch and verdict",
    "review_totals": "two a version",
    "verdict_quarters": "a few a quarter of an hour",
    "erased_photos": "one an erasure, for ever: what comes later is held against it",
    "transitions": "some a change of champion, for ever: the log is the truth",
    "model_versions": "one a version, for ever",
    "blessings": "one a verdict, for ever",
    "training_results": "one a training, for ever",
    "retraining_runs": "one a retraining, for ever",
    "datasets": "one a retraining, for ever",
    "dataset_photos": "one a photo of a dataset, for ever",
    "outbox": "one a change of models, 400 days",
    "troubles": "one an outage that was told, for ever",
    "live_accuracy_readings": "one a look of the monitor, 400 days",
}


@dataclass(frozen=True)
class Sample:
    at: float
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Grown:
    """Of a program's longest life: from `before` to `after`, both medians of a third of it."""

    program: str
    figure: str
    seconds: float
    before: float
    after: float

    @property
    def too_much(self) -> bool:
        allowed = max(self.before * _GROWTH_SHARE, _NOISE[self.figure])
        return self.seconds >= _SHORTEST_SECONDS and self.after - self.before > allowed


@dataclass
class Watch:
    """Samples of each program, apart for each time that it was started."""

    world: World
    lives: dict[tuple[str, int], list[Sample]] = field(default_factory=lambda: defaultdict(list))

    def look(self) -> None:
        for state in Supervision(self.world.stack).states():
            if pid := int(state["pid"]):
                try:
                    self.lives[state["name"], pid].append(Sample(time.monotonic(), _figures(psutil.Process(pid))))
                except psutil.Error:
                    # It ended while we looked.
                    continue

    def grown(self) -> list[Grown]:
        longest: dict[str, list[Sample]] = {}
        for (name, _), samples in self.lives.items():
            longest[name] = max(longest.get(name, []), samples, key=_lasted)
        return [one for name, samples in sorted(longest.items()) for one in growth(name, samples)]


def _lasted(samples: Sequence[Sample]) -> float:
    return samples[-1].at - samples[0].at if samples else -1.0


def growth(program: str, samples: Sequence[Sample]) -> list[Grown]:
    """Without the first minute or quarter, in which it gets warm; nothing for a life that was no longer than that."""
    warming = max(_WARM_SECONDS, _WARM_SHARE * _lasted(samples))
    warm = [one for one in samples if one.at - samples[0].at >= warming]
    third = len(warm) // 3
    if not third:
        return []
    first, last = warm[:third], warm[-third:]
    seconds = warm[-1].at - warm[0].at

    def middle(of: Sequence[Sample], figure: str) -> float:
        return median(one.figures[figure] for one in of)

    return [Grown(program, name, seconds, middle(first, name), middle(last, name)) for name in _NOISE]


def _figures(top: psutil.Process) -> dict[str, float]:
    """Of the program and all below it."""
    found = dict.fromkeys(_NOISE, 0.0)
    for process in (top, *top.children(recursive=True)):
        try:
            with process.oneshot():
                found["memory MB"] += process.memory_full_info().uss / 1e6
                found["descriptors"] += process.num_fds()
                found["threads"] += process.num_threads()
        except psutil.NoSuchProcess:
            continue
    return found


def rows(world: World) -> dict[str, int]:
    """By table of the pipeline's database."""
    names = [name for (name,) in world.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    # Names are those of our own migrations.
    return {name: int(world.ask(f'SELECT count(*) FROM "{name}"')[0][0]) for name in names}  # noqa: S608


def megabytes(world: World) -> dict[str, float]:
    """By folder of the stack."""
    folders = [path for path in world.stack.root.iterdir() if path.is_dir()]
    return {path.name: sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) / 1e6 for path in folders}
