"""Which tasks people see, and how: decided by a task's id, so that the same task is always drawn the same way."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Sampling:
    """Shares are 0-1; shares and numbers in `…_of_branch` replace the general ones."""

    blind_share: float = 0.0
    second_opinion_share: float = 0.0
    review_share: float = 1.0
    review_share_of_branch: Mapping[str, float] = field(default_factory=dict)
    daily_reviews: int = 300
    daily_reviews_of_branch: Mapping[str, int] = field(default_factory=dict)
    zone: ZoneInfo = ZoneInfo("UTC")

    def is_blind(self, task_id: str) -> bool:
        """Whether the task's reviewer does not see the AI's verdict."""
        return _position("blind", task_id) < self.blind_share

    def is_offered(self, task_id: str, branch_id: str | None) -> bool:
        """Whether the review page shows the task at all."""
        return _position("review", task_id) < self.review_share_of_branch.get(branch_id or "", self.review_share)

    def wants_second_opinion(self, task_id: str) -> bool:
        return _position("second", task_id) < self.second_opinion_share

    def most_a_day(self, branch_id: str | None) -> int:
        return self.daily_reviews_of_branch.get(branch_id or "", self.daily_reviews)

    def day_of(self, now: datetime) -> datetime:
        """When the day of `now` began."""
        return now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)


def _position(draw: str, task_id: str) -> float:
    """A number from 0 to 1 as if drawn by chance; draws for different purposes are independent."""
    return int.from_bytes(hashlib.sha256(f"{draw} {task_id}".encode()).digest()[:8], "big") / 2**64
