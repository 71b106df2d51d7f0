"""First and last task of a retraining: it claims its model type, and gives the claim back however the run ends."""

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from pipeline.bootstrap import Asker
from plugins.notices import tell_people
from plugins.refusals import Refusal, refused
from plugins.steps import Step, step

# Kept by the first task for the last one: a short circuit does not skip a teardown.
_DUE = "due"


def claim(run: str, model_type: str, step: Step = step) -> bool:
    """Whether the run goes on. A forced one that may not fails: whoever forced it must not find it green."""
    context = get_current_context()
    forced = context["params"]["force"]
    # A retry after a refusal is forced by no person, though Airflow hands on the name of whoever began the refused run:
    # its reason says which one that was.
    begun, dag_id = context["dag_run"], context["dag"].dag_id
    person = None if begun.run_type == "operator_triggered" else begun.triggering_user_name
    who = (person or context["params"]["reason"] or dag_id) if forced else None
    asker = Asker(dag_id, who, by_hand=person is not None, idle=idle(dag_id, besides=1))
    answer = step(lambda p: p.begin_run(run, model_type, asker))
    print(answer["reason"])
    if forced and not answer["due"]:
        if person is None:
            # Nobody looks at such a run, so people are told.
            step(lambda p: p.announce_skipped(run, model_type, answer["reason"], who))
        raise refused("nothing is trained", [answer["reason"]], "wait until that is over, or mend it; then force again")
    context["ti"].xcom_push(_DUE, answer["due"])
    # A type that has no model yet is not told every night: a model may never be wanted.
    if not answer["due"] and answer["rule"] != "no_champion" and begun.run_type == "scheduled":
        step(lambda p: p.announce_skipped(run, model_type, answer["reason"]))
        tell_people()
    return bool(answer["due"])


def idle(dag_id: str, *, besides: int = 0) -> str | None:
    """The DAG when no run of it lives but for those of whoever asks, so that nobody waits for one that died."""
    return None if get_current_context()["ti"].get_dr_count(dag_id, states=["running"]) > besides else dag_id


def conclude(run: str, step: Step = step) -> str:
    """`deployed`. Fails with the run: the last task decides what Airflow says of the whole."""
    if get_current_context()["ti"].xcom_pull(task_ids="begin", key=_DUE) is False:
        raise AirflowSkipException("nothing was due")
    try:
        return str(step(lambda p: p.finish_run(run)))
    except Refusal as no:
        if failed := _failed_tasks():
            raise refused(no.ended.what, [f"{', '.join(failed)} failed"], "look at the end of that log") from None
        raise
    finally:
        tell_people()


def _failed_tasks() -> list[str]:
    """Which tasks ended the run: where a fault did, no other note of it says so."""
    context = get_current_context()
    states = context["ti"].get_task_states(context["dag"].dag_id, run_ids=[context["run_id"]])
    return sorted(task for task, state in states.get(context["run_id"], {}).items() if state == "failed")
