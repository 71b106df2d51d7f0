"""The task `hot_swap`: everybody at once, or a canary first and everybody when people confirmed it."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from plugins.model_rollout.approval import ApprovedOperator
from plugins.model_rollout.trigger import CanaryTrigger
from plugins.notices import tell_people
from plugins.retraining_tasks import step

# Far beyond any canary's own deadline, which ends it: this only ends a trigger that is stuck.
_PATIENCE = timedelta(days=8)


def announce_failure(context: Any) -> None:
    """An accepted model that is not live is urgent."""
    task, error = context["task"], context.get("exception")
    step(lambda p: p.announce_failed_swap(task.model_type, task.version, context["run_id"], str(error)))
    tell_people()


class HotSwapOperator(ApprovedOperator):
    """`rollout` in the form chooses; waiting for a canary takes no slot, so that a rollback never waits for it."""

    template_fields = (*ApprovedOperator.template_fields, "version")

    def __init__(self, *, model_type: str, version: Any, **more: Any) -> None:
        super().__init__(
            subject=f"Serve {model_type} {{{{ ti.xcom_pull(task_ids='register') or params.version }}}} to everybody?",
            body="Reason given: {{ params.reason }}",
            pool="serving_swap",
            on_failure_callback=announce_failure,
            **more,
        )
        self.model_type = model_type
        self.version = version

    def execute(self, context: Context) -> Any:
        if context["params"]["rollout"] != "canary":
            return super().execute(context)
        who, reason, run = _actor(context), context["params"]["reason"], context["run_id"]
        print(step(lambda p: p.start_canary(self.model_type, self.version, who, reason, run)))
        trigger = CanaryTrigger(self.model_type, self.version)
        return self.defer(trigger=trigger, method_name="canary_judged", timeout=_PATIENCE)

    def canary_judged(self, context: Context, event: dict[str, str]) -> Any:
        print(event["reason"])
        if event["decision"] != "promote":
            step(lambda p: p.abort_canary(self.model_type, self.version, _actor(context), event["reason"]))
            raise AirflowFailException(f"the canary was aborted: {event['reason']}")
        return self.ask(context) if context["params"]["approval"] else self._promote(context, event["reason"], None)

    def act(self, context: Context, approved_by: str | None) -> Any:
        if context["params"]["rollout"] == "canary":
            return self._promote(context, f"canary approved by {approved_by}", approved_by)
        who, reason = approved_by or _actor(context), context["params"]["reason"]
        return step(lambda p: p.hot_swap(self.model_type, self.version, who, reason))

    def refused(self, context: Context, by: str) -> None:
        step(lambda p: p.abort_canary(self.model_type, self.version, by, f"refused by {by}"))

    def _promote(self, context: Context, reason: str, approved_by: str | None) -> Any:
        who = approved_by or _actor(context)
        return step(lambda p: p.promote_canary(self.model_type, self.version, who, reason))


def _actor(context: Context) -> str:
    return context["dag_run"].triggering_user_name or context["dag"].dag_id
