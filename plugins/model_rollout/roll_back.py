"""The task `roll_back`: at once, or after a person's word."""

from typing import Any

from airflow.sdk import Context

from plugins.model_rollout.approval import ApprovedOperator
from plugins.notices import tell_people
from plugins.retraining_tasks import step

MONITOR = "live_accuracy_monitor"


def page(context: Any) -> None:
    """A rollback that failed leaves the model that had to go; people are told at once."""
    from pipeline.bootstrap import Pipeline, TryAgain

    try:
        Pipeline.from_env().publish_events()
    except TryAgain as error:
        print(f"the event stays in the outbox: {error}")
    tell_people()


class RollBackOperator(ApprovedOperator):
    """Only a run that another DAG started may say `judged`: a person's rollback is never an automatic one."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            subject="Roll {{ params.model_type }} back to {{ params.target }}?",
            body="Reason given: {{ params.reason }}",
            pool="serving_swap",
            priority_weight=100,
            on_failure_callback=page,
            **more,
        )

    def act(self, context: Context, approved_by: str | None) -> Any:
        params, run = context["params"], context["dag_run"]
        judged = params["judged"] if run.run_type == "operator_triggered" else None
        who = approved_by or (MONITOR if judged else run.triggering_user_name) or "a person"
        return step(
            lambda p: p.roll_back(
                params["model_type"],
                params["target"],
                params["reason"],
                who,
                request_id=run.run_id,
                asked_at=run.run_after,
                judged=judged,
            )
        )
