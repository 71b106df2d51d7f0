"""What a person may decide besides what is live: each is one call of the pipeline, under that person's name."""

from collections.abc import Callable
from typing import Any

from plugins.administrators import administrators
from plugins.assets import announce_change
from plugins.model_rollout.answer import say
from plugins.steps import step

# Acts that undo a safeguard are for administrators, as the settings name them, or else as Airflow does.
_OF_ADMINISTRATORS = {"clear_freeze", "force_promote"}
ACTS = (
    "abort_canary",
    "clear_freeze",
    "force_promote",
    "approve",
    "refuse",
    "requeue_letter",
    "discard_letter",
    "withhold",
    "give_back",
)
_ANEW = "look at what is there now, and decide anew"


def carry_out(context: Any) -> Any:
    """What the pipeline answered. What is not there (any more), or not this person's to decide, is refused at once: the
    run says why, and nothing is broken that others should hear of.
    """
    params, run = context["params"], context["dag_run"]
    kind, about, act = params["model_type"], params["about"], params["act"]
    by = (run.triggering_user_name or "a person", params["reason"])
    calls = {
        "abort_canary": lambda p: p.abort_canary(kind, about, *by, run.run_id),
        "clear_freeze": lambda p: p.clear_freeze(kind, *by, run.run_id, about),
        "force_promote": lambda p: p.force_promote(kind, about, *by, run.run_id),
        "approve": lambda p: p.approve(about, *by),
        "refuse": lambda p: p.refuse(about, *by),
        "requeue_letter": lambda p: p.requeue_letter(about, *by),
        "discard_letter": lambda p: p.discard_letter(about, *by),
        "withhold": lambda p: p.withhold(kind, about, *by, run.run_id),
        "give_back": lambda p: p.give_back(about, *by),
    }
    if act in _OF_ADMINISTRATORS:
        step(lambda _: _demand_first_time(act, run))
        step(_or_refused(act, lambda p: p.demand_administrator(by[0], administrators())))
    answer = step(_or_refused(act, calls[act]))
    if act == "force_promote":
        announce_change(context, "promotion", kind, say(answer), actor=by[0], reason=by[1])
    print(f"{act}: {answer}")
    return answer


def _demand_first_time(act: str, run: Any) -> None:
    """Otherwise somebody who may clear tasks could carry out, under an administrator's name, what was
    refused before.
    """
    if run.clear_number:
        from pipeline.bootstrap import RunEnded

        no = f"this run was cleared, and {act} is asked for anew"
        raise RunEnded(f"{act} was refused", [no], "let an administrator trigger a run of their own")


def _or_refused(act: str, call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A service that refuses our login stays a fault, and so does a wrong setting, which is read before `call`."""
    from pipeline.bootstrap import GiveUp, Refused, RunEnded, ServiceRefused

    def ask(pipeline: Any) -> Any:
        try:
            return call(pipeline)
        except ServiceRefused:
            raise
        except GiveUp as no:
            said, advice, link = (no.said, no.advice, no.link) if isinstance(no, Refused) else (str(no), "", "")
            raise RunEnded(f"{act} was refused", [said], advice or _ANEW, link) from no

    return ask
