"""Waits for confirmations, deferred while there are few, or while they could not be taken in."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, Context

from plugins.outside.pipeline import open_pipeline
from plugins.task_events.trigger import TaskEventsTrigger

# Then the run ends green, the policy is asked, and the next run waits.
_PATIENCE = timedelta(hours=6)


class TaskEventsSensor(BaseSensorOperator):
    """Returns how many messages wait, 0 after hours of silence; they stay where they are.

    A broker or a database that is away is waited for like a message: a run that fails and begins again, all night,
    would say nothing that the monitor does not say.
    """

    def execute(self, context: Context) -> dict[str, int]:
        from pipeline.bootstrap import TryAgain

        try:
            pipeline = open_pipeline()
            waiting = pipeline.waiting_events()
            enough = pipeline.worth_an_intake(waiting, waited_seconds=0)
        except TryAgain as error:
            self.log.warning("%s; waiting for it", error)
            enough = False
        if not enough:
            self.defer(trigger=TaskEventsTrigger(datetime.now(UTC) + _PATIENCE), method_name="resume")
        return {"waiting": waiting}

    def resume(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        return event
