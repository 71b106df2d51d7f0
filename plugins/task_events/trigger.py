"""Asks the queue's depth until enough waits, or for long enough; holds no message."""

from datetime import UTC, datetime
from typing import Any

from plugins.polling import PollingTrigger


class TaskEventsTrigger(PollingTrigger):
    """Fires with `waiting`, the number of messages: as soon as they are worth a run, or with what there is at `until`.

    How old a message is, only taking it would tell: so their time begins when they are first seen. It ends by itself.
    The timeout of a deferral would end a sensor red and without another try, and silence is no failure.
    """

    def __init__(self, until: datetime | None = None, poll_seconds: float = 5.0, **_other: Any) -> None:
        super().__init__(poll_seconds, until=until)
        self._seen_at: datetime | None = None

    def look(self, pipeline: Any) -> dict[str, Any] | None:
        waiting, now = pipeline.waiting_events(), datetime.now(UTC)
        self._seen_at = (self._seen_at or now) if waiting else None
        waited = (now - self._seen_at).total_seconds() if self._seen_at else 0.0
        over = self.about["until"] is not None and now >= self.about["until"]
        return {"waiting": waiting} if over or pipeline.worth_an_intake(waiting, waited_seconds=waited) else None
