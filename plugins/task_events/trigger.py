"""Asks the queue's depth until something waits; holds no message."""

from typing import Any

from plugins.polling import PollingTrigger


class TaskEventsTrigger(PollingTrigger):
    def __init__(self, poll_seconds: float = 5.0) -> None:
        super().__init__(poll_seconds)

    def look(self, pipeline: Any) -> dict[str, Any] | None:
        waiting = pipeline.event_queue_depth()
        return {"waiting": waiting} if waiting else None
