"""A task that acts at once, or after a person allowed it."""

from abc import abstractmethod
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.triggers.base import BaseTrigger

from plugins.model_rollout.patience import IN_TIME, PATIENCE
from plugins.model_rollout.question import announce_lapse, announce_question
from plugins.model_rollout.replicas_link import ReplicasLink
from plugins.refusals import Declined

APPROVE, REJECT = "Approve", "Reject"
# Where the answer is kept from one try of the task to the next: a replica that is away for a moment must not cost
# another question.
_ANSWER = "answer"
_DEADLINE = "deadline"


class ApprovedOperator(HITLOperator):
    """Runs `act`; with `approval` in the form it asks first and waits without a slot.

    One task instead of two, so that a run without approval is no slower. After a no the task fails with a
    sentence, because a run that changed nothing must not look done.
    """

    operator_extra_links = (ReplicasLink(),)
    # Whose replicas change.
    model_type: str

    def __init__(self, **more: Any) -> None:
        super().__init__(options=[APPROVE, REJECT], defaults=REJECT, response_timeout=PATIENCE, **more)

    @abstractmethod
    def act(self, context: Context, approved_by: str | None) -> Any:
        """What was asked for."""

    @abstractmethod
    def decline(self, context: Context, by: str | None, why: str) -> str:
        """Tidy up after a no (`by` is None when nobody answered); returns the sentence that the task fails with."""

    def needs_approval(self, context: Context) -> bool:
        return bool(context["params"]["approval"])

    def execute(self, context: Context) -> Any:
        if not self.needs_approval(context):
            return self.act(context, None)
        answer = context["task_state_store"].get(_ANSWER)
        return self._follow(context, answer) if answer else self.ask(context)

    def ask(self, context: Context) -> Any:
        announce_question(context, self.subject, deadline(context["task_state_store"]))
        return super().execute(context)

    def ask_anew(self, context: Context) -> Any:
        self.forget_answer(context)
        return self.ask(context)

    def forget_answer(self, context: Context) -> None:
        """Forget the stored answer."""
        context["task_state_store"].delete(_ANSWER)

    def wait_beside(self, context: Context, trigger: BaseTrigger) -> Any:
        """Ask, and have `trigger` look meanwhile whether the question is still open. A person's answer does not come
        through it: Airflow resumes the task itself.
        """
        # The question is stored; but Airflow's own way of waiting would not look.
        with suppress(TaskAwaitingInput):
            ApprovedOperator.ask(self, context)
        return self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        response = super().execute_complete(context, event)
        by = (response["responded_by_user"] or {}).get("name")
        return self.answered(context, by, approved=response["chosen_options"] == [APPROVE])

    def answered(self, context: Context, by: str | None, *, approved: bool) -> Any:
        """Keep the answer, and do what it says."""
        answer = {"approved": approved, "by": by}
        context["task_state_store"].set(_ANSWER, answer)
        return self._follow(context, answer)

    def _follow(self, context: Context, answer: dict[str, Any]) -> Any:
        by = answer["by"]
        if answer["approved"]:
            return self.act(context, by or "a person")
        sentence = self.decline(context, by, f"rejected by {by}" if by else f"not answered {IN_TIME}")
        if by is None:
            announce_lapse(context, self.subject, sentence)
        # Cleared by hand, the task may ask anew.
        self.forget_answer(context)
        raise Declined(sentence)


def deadline(store: Any) -> datetime:
    """Another try does not extend the question; a task that is cleared after its deadline has as much time as a new
    one.
    """
    now, kept = datetime.now(UTC), store.get(_DEADLINE)
    if kept and datetime.fromisoformat(kept) > now:
        return datetime.fromisoformat(kept)
    store.set(_DEADLINE, (now + PATIENCE).isoformat())
    return now + PATIENCE
