"""The time, as the steps ask for it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time, zone-aware UTC."""
