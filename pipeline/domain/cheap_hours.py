"""When computing is cheap: retrainings that can wait begin then (specification §11)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pipeline.domain.bounds import TimeOfDay, TimeZone


@dataclass(frozen=True)
class CheapHours:
    """Every day from `begins` until just before `ends`; across midnight when `ends` is the earlier one."""

    begins: Annotated[str, TimeOfDay()] = "02:00"
    """When a retraining that can wait may begin, and when the DAG looks whether one is due; read by its DAG, too."""
    ends: Annotated[str, TimeOfDay()] = "06:00"
    """Until when; from 00:00 until 24:00 nothing waits."""
    zone: Annotated[str, TimeZone()] = "Asia/Seoul"
    """Time zone of both; read by the DAG, too."""

    def __post_init__(self) -> None:
        if self.begins == self.ends:
            raise ValueError("need hours that begin and end at different times")

    def __str__(self) -> str:
        return f"{self.begins}-{self.ends} {self.zone}"

    @property
    def cron(self) -> str:
        """The cron expression of the moment at which they begin, in their own time zone."""
        hour, minute = self.begins.split(":")
        return f"{int(minute)} {int(hour) % 24} * * *"

    def has(self, moment: datetime) -> bool:
        now = f"{moment.astimezone(ZoneInfo(self.zone)):%H:%M}"
        if self.begins < self.ends:
            return self.begins <= now < self.ends
        return now >= self.begins or now < self.ends
