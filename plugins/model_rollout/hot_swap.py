"""The task `hot_swap`: everybody at once, or a canary first and everybody when people confirmed it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import Context

from plugins.assets import CHAMPIONS, announce_change
from plugins.model_rollout.answer import say, what_ended
from plugins.model_rollout.approval import ApprovedOperator, deadline
from plugins.model_rollout.asker import asker, reason
from plugins.model_rollout.trigger import CanaryQuestionTrigger, CanaryTrigger
from plugins.notices.publishing import keep_news, publish_soon, tell_at_once
from plugins.refusals import Declined, Refusal, print_ending, refused
from plugins.steps import step

# Far beyond any canary's own deadline, which ends it: this only ends a trigger that is stuck.
_PATIENCE = timedelta(days=8)
# The good verdict is kept for the next try, for as long as the canary is on trial.
_VERDICT = "verdict"
# How many trials of this run are over: whoever clears the task by hand after one wants another, which is a new request.
_OVER = "over"


def announce_failure(context: Any) -> None:
    """An accepted model that is not live is urgent, unless a person wanted it so."""
    if isinstance(context.get("exception"), Declined):
        publish_soon()
    else:
        task = context["task"]
        # Of a task that was killed Airflow hands over the definition: what it is about is still a template.
        _tell_failure(context, *(task.render_template(value, context) for value in (task.model_type, task.version)))
    print_ending(context.get("exception"))


def _tell_failure(context: Any, model_type: str, version: str) -> None:
    why = what_ended(context)
    if away := keep_news(lambda p: p.announce_failed_swap(model_type, version, context["run_id"], why)):
        tell_at_once(f"URGENT: {model_type} {version} could not go live", f"{why} ({away})")


class HotSwapOperator(ApprovedOperator):
    """`rollout` in the form chooses; waiting for a canary takes no slot."""

    template_fields = (*ApprovedOperator.template_fields, "model_type", "version")

    def __init__(self, *, model_type: str, version: Any, **more: Any) -> None:
        super().__init__(
            subject=f"Serve {model_type} {{{{ ti.xcom_pull(task_ids='register') or params.version }}}} to everybody?",
            body="Reason given: {{ params.reason or 'none' }}",
            pool="serving_swap",
            outlets=[CHAMPIONS],
            on_failure_callback=announce_failure,
            **more,
        )
        self.model_type = model_type
        self.version = version

    def execute(self, context: Context) -> Any:
        if not _canary(context) or context["task_state_store"].get(_VERDICT):
            return super().execute(context)
        self._demand_canaries()
        who, why, request = asker(context), reason(context), _request(context)
        with self._forgetting_what_ended(context):
            print(step(lambda p: p.start_canary(self.model_type, self.version, who, why, request)))
        trigger = CanaryTrigger(self.model_type, self.version, begun_by=request)
        return self.defer(trigger=trigger, method_name="canary_judged", timeout=_PATIENCE)

    def _demand_canaries(self) -> None:
        from pipeline.bootstrap import MODEL_TYPES

        if self.model_type not in MODEL_TYPES:
            full = f"no canary tries {self.model_type} models: choose the rollout full"
            raise Declined(f"nothing was changed, {self.version} is not live: {full}")

    def canary_judged(self, context: Context, event: dict[str, str]) -> Any:
        print(event["reason"])
        if event["decision"] != "promote":
            self._abort(context, asker(context), event["reason"])
            self._forget_trial(context)
            raise _aborted(event["reason"])
        context["task_state_store"].set(_VERDICT, event["reason"])
        return super().execute(context)

    def ask(self, context: Context) -> Any:
        if not _canary(context):
            return super().ask(context)
        until = deadline(context["task_state_store"])
        trigger = CanaryQuestionTrigger(self.model_type, self.version, until, begun_by=_request(context))
        return self.wait_beside(context, trigger)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        if event.get("decision") == "abort":
            return self.canary_judged(context, event)
        if event.get("decision") == "unanswered":
            return self.answered(context, None, approved=False)
        return super().execute_complete(context, event)

    def act(self, context: Context, approved_by: str | None) -> Any:
        who, why, request = approved_by or asker(context), reason(context), _request(context)
        if _canary(context):
            done, why = self._promote(context, who), context["task_state_store"].get(_VERDICT)
        else:
            done = step(lambda p: p.hot_swap(self.model_type, self.version, who, why, request))
        announce_change(context, "promotion", self.model_type, done, actor=who, reason=why)
        return say(done)

    def decline(self, context: Context, by: str | None, why: str) -> str:
        if not _canary(context):
            return f"nothing was changed: serving {self.version} to everybody was {why}"
        self._abort(context, by or asker(context), f"its promotion was {why}")
        self._forget_trial(context)
        return f"the canary {self.version} was taken out of the requests: its promotion was {why}"

    def _promote(self, context: Context, who: str) -> dict[str, Any]:
        self._look_again(context)
        verdict, request = context["task_state_store"].get(_VERDICT), _request(context)
        with self._forgetting_what_ended(context):
            done: dict[str, Any] = step(
                lambda p: p.promote_canary(self.model_type, self.version, who, verdict, request)
            )
        return done

    def _look_again(self, context: Context) -> None:
        """The verdict may be days old when the task is cleared: later confirmations count, and so does harm."""
        own = _request(context)
        seen = step(lambda p: p.judge_canary(self.model_type, self.version, proven=True, begun_by=own))
        # When it is no longer on trial, the promotion says why, or that an earlier try did it.
        if seen["decision"] == "abort" and self._abort(context, asker(context), seen["reason"]):
            self._forget_trial(context)
            raise _aborted(seen["reason"])

    def _abort(self, context: Context, who: str, reason: str) -> bool:
        """Whether there was a trial of this run to end: whoever tries the same version by now did not ask this run."""
        own = _request(context)
        ended: bool = step(lambda p: p.abort_canary(self.model_type, self.version, who, reason, own, begun_by=own))
        return ended

    @contextmanager
    def _forgetting_what_ended(self, context: Context) -> Iterator[None]:
        """A trial may end without this task: by a command, or by an abort that a replica out of reach held up."""
        from pipeline.bootstrap import CanaryEnded

        try:
            yield
        except Refusal as no:
            if isinstance(no.ended, CanaryEnded):
                self._forget_trial(context)
            raise

    def _forget_trial(self, context: Context) -> None:
        store = context["task_state_store"]
        self.forget_answer(context)
        store.delete(_VERDICT)
        store.set(_OVER, (store.get(_OVER) or 0) + 1)


def _aborted(why: str) -> Refusal:
    return refused("the canary was aborted", [why], "look at the errors; the version that served goes on serving")


def _request(context: Context) -> str:
    over = context["task_state_store"].get(_OVER)
    return f"{context['run_id']}, trial {over + 1}" if over else context["run_id"]


def _canary(context: Context) -> bool:
    # For a model type that no canary tries, the form does not ask.
    return bool(context["params"].get("rollout") == "canary")
