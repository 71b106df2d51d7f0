"""Asks the queue's depth until something waits; holds no message."""

from datetime import UTC, datetime
from typing import Any

from plugins.polling import PollingTrigger


class TaskEventsTrigger(PollingTrigger):
    """Fires with `waiting`, the number of messages: as soon as there is one, or with 0 at `until`.

    It ends by itself. The timeout of a deferral would end a sensor red and without another try, and silence is no
    failure.
    """

    def __init__(self, until: datetime | None = None, poll_seconds: float = 5.0, **_other: Any) -> None:
        super().__init__(poll_seconds, until=until)

    def look(self, pipeline: Any) -> dict[str, Any] | None:
        waiting = pipeline.waiting_events()
        return {"waiting": waiting} if waiting or self._over() else None

    def _over(self) -> bool:
        return self.about["until"] is not None and datetime.now(UTC) >= self.about["until"]
