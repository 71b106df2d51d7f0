"""A task that acts at once, or after a person allowed it."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

_PATIENCE = timedelta(hours=24)


class ApprovedOperator(ApprovalOperator):
    """Runs `act`; with `approval` in the form it asks first and waits in state `awaiting_input`, without a slot.

    One task instead of two: a run that needs nobody's word does not pay for asking.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(defaults=self.REJECT, response_timeout=_PATIENCE, **more)

    def act(self, context: Context, approved_by: str | None) -> Any:
        raise NotImplementedError

    def refused(self, context: Context, by: str) -> None:
        """Tidy up after a no."""

    def execute(self, context: Context) -> Any:
        return self.ask(context) if context["params"]["approval"] else self.act(context, None)

    def ask(self, context: Context) -> Any:
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        answer = super().execute_complete(context, event)
        who = (answer["responded_by_user"] or {}).get("name") or "nobody within 24 hours"
        if answer["chosen_options"][0] == self.APPROVE:
            return self.act(context, who)
        self.refused(context, who)
        raise AirflowSkipException(f"refused by {who}")
