"""The task `roll_back`: at once, or after a person's word."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from plugins.assets import CHAMPIONS, announce_change
from plugins.model_rollout.answer import say, what_ended
from plugins.model_rollout.approval import ApprovedOperator, deadline
from plugins.model_rollout.asker import reason
from plugins.model_rollout.trigger import RollbackQuestionTrigger
from plugins.notices.publishing import keep_news, publish_soon, tell_at_once
from plugins.refusals import Declined, Refusal, print_ending
from plugins.steps import step

if TYPE_CHECKING:
    from pipeline.bootstrap import RollbackRequest

MONITOR = "live_accuracy_monitor"
# What the question named: an approval is for that version, whatever `previous` means by then, and instead of that one.
_VERSION, _INSTEAD_OF = "version", "instead_of"


def page(context: Any) -> None:
    """After a failed rollback the model that had to go may still serve: people are told at once."""
    if isinstance(context.get("exception"), Declined):
        publish_soon()
    else:
        _tell_failure(context, context["params"]["model_type"], _asked(context))
    print_ending(context.get("exception"))


def page_about_verdict(context: Any) -> None:
    """The monitor found the champion too bad, and could not even start the rollback."""
    from pipeline.bootstrap import RollbackRequest

    (watch,) = context["task"].upstream_task_ids
    seen = context["ti"].xcom_pull(task_ids=watch)
    # Now, not when this run began: the champion that it condemns may have begun to serve later.
    asked = RollbackRequest(seen["target"], datetime.now(UTC), judged=seen["version"])
    _tell_failure(context, context["task"].conf["model_type"], asked)
    print_ending(context.get("exception"))


def _tell_failure(context: Any, model_type: str, asked: "RollbackRequest") -> None:
    request_id, why = context["run_id"], what_ended(context)
    if away := keep_news(lambda p: p.announce_failed_rollback(model_type, asked, request_id, why)):
        tell_at_once(f"URGENT: {model_type} could not be rolled back to {asked.target}", f"{why} ({away})")


class RollBackOperator(ApprovedOperator):
    """Only a run that another DAG started may say `judged`: a person's rollback is never an automatic one.

    An automatic rollback never asks. While a person's waits for an answer, a trigger looks whether it is still wanted.
    """

    template_fields = (*ApprovedOperator.template_fields, "model_type")

    def __init__(self, **more: Any) -> None:
        super().__init__(
            subject="Roll {{ params.model_type }} back to {{ params.target }}?",
            body="Reason given: {{ params.reason or 'none' }}",
            pool="emergency",
            outlets=[CHAMPIONS],
            # One that hangs gives its slot back to the next.
            execution_timeout=timedelta(minutes=10),
            on_failure_callback=page,
            **more,
        )
        self.model_type = "{{ params.model_type }}"

    def needs_approval(self, context: Context) -> bool:
        return _judged(context) is None and super().needs_approval(context)

    def ask(self, context: Context) -> Any:
        params = context["params"]
        plan = step(lambda p: p.rollback_plan(params["model_type"], params["target"]))
        self.subject = plan["question"]
        context["task_state_store"].set(_VERSION, plan["version"])
        context["task_state_store"].set(_INSTEAD_OF, plan["from_version"])
        about = (params["model_type"], params["target"], plan["from_version"])
        return self.wait_beside(context, RollbackQuestionTrigger(*about, deadline(context["task_state_store"])))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        if "withdrawn" in event:
            raise Declined(f"nothing was changed: {event['withdrawn']}")
        return super().execute_complete(context, event)

    def act(self, context: Context, approved_by: str | None) -> Any:
        params, run, judged = context["params"], context["dag_run"], _judged(context)
        who = approved_by or (MONITOR if judged else run.triggering_user_name) or "a person"
        store = context["task_state_store"]
        if approved_by and store.get(_VERSION) is None:
            # An answer to a question of an older release, which did not name the version.
            return self.ask_anew(context)
        asked = _asked(context)
        if approved_by:
            asked = replace(asked, target=store.get(_VERSION), instead_of=store.get(_INSTEAD_OF))
        about = (params["model_type"], asked, who, reason(context), run.run_id)
        with _pointless_is_no_failure():
            done = step(lambda p: p.roll_back(*about))
        announce_change(context, "rollback", params["model_type"], done, actor=who, reason=reason(context))
        return say(done)

    def decline(self, context: Context, by: str | None, why: str) -> str:
        params = context["params"]
        version = context["task_state_store"].get(_VERSION)
        return f"nothing was changed: rolling {params['model_type']} back to {version} was {why}"


@contextmanager
def _pointless_is_no_failure() -> Iterator[None]:
    """Its object has gone meanwhile: nobody is paged for that."""
    from pipeline.bootstrap import StaleTransition

    try:
        yield
    except Refusal as no:
        if isinstance(no.ended, StaleTransition):
            raise Declined(f"nothing was changed: {no.ended.said}", no.ended.advice) from None
        raise


def _asked(context: Any) -> "RollbackRequest":
    """What the form of this run says."""
    from pipeline.bootstrap import RollbackRequest

    return RollbackRequest(context["params"]["target"], context["dag_run"].run_after, _judged(context))


def _judged(context: Context) -> str | None:
    """The champion that an automatic rollback is about; None for a person's."""
    return context["params"]["judged"] if context["dag_run"].run_type == "operator_triggered" else None
