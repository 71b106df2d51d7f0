"""A model that may not go live: the reason is a note on the run, too."""

from typing import Any

from airflow.sdk import get_current_context

from plugins.steps import Refusal, step

NOTE = "note"
# Of a note; Airflow's own form takes 1000.
_CHARACTERS = 1000


def demand_acceptance(run: str, verdict: dict[str, Any]) -> dict[str, Any]:
    """The verdict. Raises `Refusal` when the model may not go live; the run's note is made of what it leaves behind."""
    try:
        accepted: dict[str, Any] = step(lambda p: p.demand_acceptance(run, verdict))
    except Refusal as refusal:
        get_current_context()["ti"].xcom_push(NOTE, str(refusal)[:_CHARACTERS])
        raise
    return accepted
