"""Asks the queue's depth until something waits; runs in the triggerer, holds no message."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

_MAX_PAUSE_SECONDS = 60.0


class TaskEventsTrigger(BaseTrigger):
    """`first_delay_seconds` keeps the event from overtaking the executor's own news of the deferral
    (apache/airflow#72716).
    """

    def __init__(self, poll_seconds: float = 5.0, first_delay_seconds: float = 5.0) -> None:
        super().__init__()
        self.poll_seconds = poll_seconds
        self.first_delay_seconds = first_delay_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "plugins.task_events.trigger.TaskEventsTrigger",
            {"poll_seconds": self.poll_seconds, "first_delay_seconds": self.first_delay_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from pipeline.bootstrap import Pipeline, TryAgain

        pipeline = Pipeline.from_env()
        pause = self.poll_seconds
        await asyncio.sleep(self.first_delay_seconds)
        while True:
            try:
                waiting = await asyncio.to_thread(pipeline.event_queue_depth)
                pause = self.poll_seconds
            except TryAgain as error:
                # A broker that restarts is no reason to fail: its messages are safe, and so is our patience.
                self.log.warning("%s; asking again in %.0f s", error, pause)
                waiting, pause = 0, min(pause * 2, _MAX_PAUSE_SECONDS)
            if waiting:
                yield TriggerEvent({"waiting": waiting})
                return
            await asyncio.sleep(pause)
