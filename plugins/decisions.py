"""What a person may decide besides what is live: each is one call of the pipeline, under that person's name."""

from typing import Any

from plugins.steps import step

# What undoes a safeguard is for administrators, where the settings name any.
_OF_ADMINISTRATORS = {"clear_freeze"}
ACTS = ("abort_canary", "clear_freeze", "approve", "requeue_letter", "discard_letter")


def carry_out(context: Any) -> Any:
    """What the pipeline answered. Fails at once for what is not there (any more)."""
    params, run = context["params"], context["dag_run"]
    kind, about, act = params["model_type"], params["about"], params["act"]
    by = (run.triggering_user_name or "a person", params["reason"])
    calls = {
        "abort_canary": lambda p: p.abort_canary(kind, about, *by, run.run_id),
        "clear_freeze": lambda p: p.clear_freeze(kind, *by),
        "approve": lambda p: p.approve(about, *by),
        "requeue_letter": lambda p: p.requeue_letter(about, *by),
        "discard_letter": lambda p: p.discard_letter(about, *by),
    }
    if act in _OF_ADMINISTRATORS:
        step(lambda p: p.demand_administrator(by[0]))
    answer = step(calls[act])
    print(f"{act}: {answer}")
    return answer
