"""A month of people's work: who confirms what, when, and how often the model was wrong."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from itertools import accumulate, pairwise

from include.bench.photos import LABELS
from include.demo.branch_managers import confirmation
from pipeline.domain.intake import AT_ONCE, Stay
from pipeline.ports.events import Message

DAYS, SLOTS_A_DAY = 30, 48
SLOT = timedelta(hours=24 / SLOTS_A_DAY)
PROMISED, AFTER_THE_FALL = 0.05, 0.14
"""Share of verdicts that are wrong, 0-1: what the champion's verdict said, and after kinds came that it never saw."""
_SEOUL = timezone(timedelta(hours=9))
_SUNDAY = 6
_BRANCHES = 300
# Ten hours from nine on; the busiest is the one after work.
_WORK_OF_HOURS = dict(zip(range(9, 19), (5, 7, 8, 9, 10, 8, 7, 8, 40, 8), strict=True))
_REASONS = ("커피 얼룩", "볼펜 잉크", "진흙이 묻음", "기름때", "소매가 찢어짐", "탈색됨", "무늬를 결함으로 봄", "보풀")
# A few branches are large: the tenth has a quarter of the work of the first.
_SIZES = list(accumulate(1 / rank**0.6 for rank in range(1, _BRANCHES + 1)))
_RATED, _BLIND, _TWICE = 0.5, 0.02, 0.005


@dataclass(frozen=True)
class Month:
    """`confirmations` of thirty days from `begins` on; from `falls_at` on kinds come that no model knows."""

    confirmations: int
    begins: datetime

    @property
    def falls_at(self) -> datetime:
        return self.begins + timedelta(days=17, hours=3)

    def ends_of_slots(self) -> Iterator[datetime]:
        return (self.begins + SLOT * number for number in range(1, DAYS * SLOTS_A_DAY + 1))

    def bodies(self, until: datetime, version: str, wrong: float) -> list[bytes]:
        """What arrives in the half hour before `until`, of verdicts of `version`; a few come twice."""
        draw = random.Random(until.isoformat())
        branches = draw.choices(range(_BRANCHES), cum_weights=_SIZES, k=self._arriving[until])
        told = [
            confirmation(
                f"TASK-{until:%m%d%H%M}-{n}",
                (until - SLOT * draw.random()).isoformat(),
                modelVersion=version,
                **_verdict(draw, draw.random() < wrong),
                **_review(draw, branch),
            )
            for n, branch in enumerate(branches)
        ]
        return told + [body for body in told if draw.random() < _TWICE]

    @cached_property
    def _arriving(self) -> dict[datetime, int]:
        ends = list(self.ends_of_slots())
        done = [0, *accumulate(_work(end) for end in ends)]
        stored = [round(self.confirmations * part / done[-1]) for part in done]
        return {end: after - before for end, (before, after) in zip(ends, pairwise(stored), strict=True)}


def _verdict(draw: random.Random, wrong: bool) -> dict[str, object]:
    said, other = draw.sample(LABELS, 2)
    rated = {"confidence": round(draw.random(), 3)} if draw.random() < _RATED else {}
    why = {"correctionReason": draw.choice(_REASONS)} if wrong else {}
    return {"aiResult": said, "finalResult": other if wrong else said, "corrected": wrong, **rated, **why}


def _review(draw: random.Random, branch: int) -> dict[str, object]:
    blind = {"blindAudit": True} if draw.random() < _BLIND else {}
    return {
        "helperId": f"HELPER-{branch:03d}",
        "branchId": f"BRANCH-{branch:03d}",
        "reviewerId": f"REVIEWER-{branch:03d}-{draw.randrange(3)}",
        "reviewSeconds": round(draw.uniform(2, 20), 1),
        **blind,
    }


def is_night(until: datetime) -> bool:
    """When whoever retrains at night looks once whether it is time."""
    at = (until - SLOT).astimezone(_SEOUL)
    return (at.hour, at.minute) == (2, 0)


def _work(until: datetime) -> int:
    """Of one half hour, beside others."""
    at = (until - SLOT).astimezone(_SEOUL)
    return 0 if at.weekday() == _SUNDAY else _WORK_OF_HOURS.get(at.hour, 0)


class Arrivals:
    """What has arrived, in place of a broker's queue: batches as large as the intake asks for, nothing comes later."""

    def __init__(self) -> None:
        self.bodies: Sequence[bytes] = ()

    def depth(self) -> int:
        return len(self.bodies)

    def batches(self, *, max_messages: int, batch_size: int, stay: Stay = AT_ONCE) -> Iterator[Sequence[Message]]:
        for first in range(0, min(len(self.bodies), max_messages), batch_size):
            yield [Message(body, None, n) for n, body in enumerate(self.bodies[first : first + batch_size], first)]

    def dead_letter(self, message: Message, reason: str) -> None:
        raise AssertionError(f"the month has no unusable confirmation: {reason}")

    def acknowledge(self, messages: Sequence[Message]) -> None: ...
