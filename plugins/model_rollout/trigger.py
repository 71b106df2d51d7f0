"""What a change of champion waits for without occupying a worker: the verdict on a canary, or an answer."""

from datetime import UTC, datetime
from typing import Any

from plugins.model_rollout.patience import IN_TIME
from plugins.polling import PollingTrigger


class CanaryTrigger(PollingTrigger):
    """Fires with the verdict on the trial that the request `begun_by` began: `decision` (`promote` or `abort`) and
    `reason`. A trigger of an earlier release names no request.
    """

    proven = False

    def __init__(
        self, model_type: str, version: str, poll_seconds: float = 15.0, *, begun_by: str | None = None, **_other: Any
    ) -> None:
        super().__init__(poll_seconds, model_type=model_type, version=version, begun_by=begun_by)

    def look(self, pipeline: Any) -> dict[str, Any] | None:
        from pipeline.bootstrap import GiveUp

        try:
            about = (self.about["model_type"], self.about["version"])
            verdict: dict[str, Any] = pipeline.judge_canary(*about, proven=self.proven, begun_by=self.about["begun_by"])
        except GiveUp as error:
            return {"decision": "abort", "reason": str(error)}
        return None if verdict["decision"] == "wait" else verdict


class CanaryQuestionTrigger(CanaryTrigger):
    """While somebody is asked whether to promote it the canary goes on, and so does judging it: fires with `abort` as
    soon as it does harm, or with the decision `unanswered` once nobody answered until `deadline`.
    """

    proven = True

    def __init__(
        self, model_type: str, version: str, deadline: datetime, poll_seconds: float = 15.0, **more: Any
    ) -> None:
        super().__init__(model_type, version, poll_seconds, **more)
        self.about["deadline"] = deadline

    def look(self, pipeline: Any) -> dict[str, Any] | None:
        if datetime.now(UTC) >= self.about["deadline"]:
            return {"decision": "unanswered", "reason": f"nobody answered {IN_TIME}"}
        seen = super().look(pipeline)
        return seen if seen and seen["decision"] == "abort" else None


class RollbackQuestionTrigger(PollingTrigger):
    """Fires with `withdrawn`, a sentence, once the question whether to roll back is pointless: another version serves
    than `from_version`, there is nothing to go back to, or nobody answered until `deadline`.
    """

    def __init__(
        self,
        model_type: str,
        target: str,
        from_version: str,
        deadline: datetime,
        poll_seconds: float = 15.0,
        **_other: Any,
    ) -> None:
        about = {"model_type": model_type, "target": target, "from_version": from_version, "deadline": deadline}
        super().__init__(poll_seconds, **about)

    def look(self, pipeline: Any) -> dict[str, Any] | None:
        why = self._pointless(pipeline)
        return {"withdrawn": why} if why else None

    def _pointless(self, pipeline: Any) -> str | None:
        from pipeline.bootstrap import GiveUp

        if datetime.now(UTC) >= self.about["deadline"]:
            return f"nobody answered {IN_TIME}"
        try:
            serves = pipeline.rollback_plan(self.about["model_type"], self.about["target"])["from_version"]
        except GiveUp as error:
            return str(error)
        asked_about = self.about["from_version"]
        return None if serves == asked_about else f"the question was about {asked_about}, but {serves} serves by now"
