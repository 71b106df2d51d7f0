"""Asking the pipeline again and again without a worker: a trigger that looks, and waits through outages."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from plugins.outside.pipeline import open_pipeline

_MAX_PAUSE_SECONDS = 60.0


class PollingTrigger(BaseTrigger):
    """Fires with what `look` returns, once that is not None. It may run twice after a restart: looking changes nothing.

    `about` are the arguments of the subclass's constructor, as Airflow keeps them. A constructor ignores others:
    Airflow may hold a trigger that another release of this code made.
    """

    # Keeps the event from overtaking the executor's own news of the deferral (apache/airflow#72716).
    first_delay_seconds = 5.0

    def __init__(self, poll_seconds: float, **about: Any) -> None:
        super().__init__()
        self.poll_seconds = poll_seconds
        self.about = about

    @abstractmethod
    def look(self, pipeline: Any) -> dict[str, Any] | None:
        """Called in a thread. A `TryAgain` is waited through, with growing pauses."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {**self.about, "poll_seconds": self.poll_seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from pipeline.bootstrap import TryAgain

        pipeline: Any = None
        pause = self.poll_seconds
        await asyncio.sleep(self.first_delay_seconds)
        while True:
            try:
                pipeline = pipeline or await asyncio.to_thread(open_pipeline)
                seen, pause = await asyncio.to_thread(self.look, pipeline), self.poll_seconds
            except TryAgain as error:
                # Opened anew next time: a password may have changed meanwhile.
                pipeline = None
                self.log.warning("%s; looking again in %.0f s", error, pause)
                seen, pause = None, min(pause * 2, _MAX_PAUSE_SECONDS)
            if seen is not None:
                yield TriggerEvent(seen)
                return
            await asyncio.sleep(pause)
