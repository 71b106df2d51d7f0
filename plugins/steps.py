"""How DAG tasks call the pipeline: errors become Airflow's, give up or try again."""

from collections.abc import Callable
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from plugins.outside.pipeline import open_face_pipeline, open_pipeline
from plugins.refusals import Refusal

# Takes what to do with a pipeline, and does it.
Step = Callable[[Callable[[Any], Any]], Any]


def step(call: Callable[[Any], Any]) -> Any:
    """`step(lambda p: p.collect(run_id, "LAUNDRY"))`: what cannot succeed later fails at once, the rest is retried."""
    return _done(call, open_pipeline)


def face_step(call: Callable[[Any], Any]) -> Any:
    """The same for faces, whose models are made in another way."""
    return _done(call, open_face_pipeline)


def _done(call: Callable[[Any], Any], opened: Callable[[], Any]) -> Any:
    from pipeline.bootstrap import GiveUp, Refused

    try:
        return call(opened())
    except Refused as no:
        raise Refusal(no) from None
    except GiveUp as error:
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def demand_none_failed(done: dict[str, Any]) -> dict[str, Any]:
    """`done` when every version that had to go went; else a failure that names the others, which no new try mends."""
    if done["failed"]:
        raise AirflowFailException("; ".join(f"{version}: {why}" for version, why in done["failed"].items()))
    return done


def demand_complete(done: dict[str, Any]) -> dict[str, Any]:
    """`done` when no replica is missing; else raises `TryAgain` naming them, so that the task is tried again."""
    from pipeline.bootstrap import TryAgain

    if done["missing"]:
        raise TryAgain("; ".join(done["missing"]))
    return done
