"""Which corrections one run takes when there are too many: branches, reasons and times take turns (design D22)."""

import heapq
from collections import Counter, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.reasons import ReasonList

TIMES = 10
"""What waits is divided by age into this many parts of equal size, whether it has waited for hours or for months."""


@dataclass
class _Branch:
    """The waiting corrections of one branch, by reason and time, each oldest first."""

    kinds: dict[tuple[Hashable, int], deque[ConfirmedTask]] = field(default_factory=dict)

    def add(self, task: ConfirmedTask, kind: tuple[Hashable, int]) -> None:
        self.kinds.setdefault(kind, deque()).append(task)

    def take(self, taken: Counter[Hashable]) -> ConfirmedTask:
        """Takes one of the reason and time that were taken least in any branch: the one that has waited longest."""
        kind = min(self.kinds, key=lambda k: (taken["reason", k[0]], taken["time", k[1]], age(self.kinds[k][0])))
        taken.update((("reason", kind[0]), ("time", kind[1])))
        task = self.kinds[kind].popleft()
        if not self.kinds[kind]:
            del self.kinds[kind]
        return task


def in_turn(waiting: Sequence[ConfirmedTask], limit: int, reasons: ReasonList) -> list[ConfirmedTask]:
    """All when they are no more than `limit`. Else no branch has fewer than another, unless that is all there is of it,
    and the one that waits longest is among them.
    """
    if len(waiting) <= limit:
        return list(waiting)
    branches = _branches(waiting, reasons)
    turns = [(0, place, branch) for place, branch in enumerate(branches)]
    taken: Counter[Hashable] = Counter()
    chosen: list[ConfirmedTask] = []
    while len(chosen) < limit:
        turn, place, branch = heapq.heappop(turns)
        chosen.append(branches[branch].take(taken))
        if branches[branch].kinds:
            heapq.heappush(turns, (turn + 1, place, branch))
    return chosen


def age(task: ConfirmedTask) -> tuple[object, ...]:
    """Sorts oldest first; what has no readable time comes last."""
    return (bool(task.fault), task.confirmed_at, task.task_id)


def _branches(waiting: Sequence[ConfirmedTask], reasons: ReasonList) -> dict[str, _Branch]:
    """Branches, the one with the longest-waiting correction first."""
    found: dict[str, _Branch] = {}
    for place, task in enumerate(sorted(waiting, key=age)):
        kind = (reasons.of(task.correction_reason), place * TIMES // len(waiting))
        found.setdefault(task.helper_id, _Branch()).add(task, kind)
    return found
