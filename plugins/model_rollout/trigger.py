"""Looks at a canary until there is a verdict; runs in the triggerer, holds nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

_MAX_PAUSE_SECONDS = 120.0


class CanaryTrigger(BaseTrigger):
    """`first_delay_seconds`: see `TaskEventsTrigger`. It may run twice: looking changes nothing."""

    def __init__(
        self, model_type: str, version: str, poll_seconds: float = 15.0, first_delay_seconds: float = 5.0
    ) -> None:
        super().__init__()
        self.model_type = model_type
        self.version = version
        self.poll_seconds = poll_seconds
        self.first_delay_seconds = first_delay_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("model_type", "version", "poll_seconds", "first_delay_seconds")
        return "plugins.model_rollout.trigger.CanaryTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from pipeline.bootstrap import GiveUp, Pipeline, TryAgain

        pipeline = Pipeline.from_env()
        pause = self.poll_seconds
        await asyncio.sleep(self.first_delay_seconds)
        while True:
            try:
                verdict = await asyncio.to_thread(pipeline.judge_canary, self.model_type, self.version)
                pause = self.poll_seconds
            except TryAgain as error:
                self.log.warning("%s; looking again in %.0f s", error, pause)
                verdict, pause = {"decision": "wait"}, min(pause * 2, _MAX_PAUSE_SECONDS)
            except GiveUp as error:
                verdict = {"decision": "abort", "reason": str(error)}
            if verdict["decision"] != "wait":
                yield TriggerEvent(verdict)
                return
            await asyncio.sleep(pause)
