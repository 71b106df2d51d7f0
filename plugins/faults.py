"""Every task that failed for good tells people what, why and what to do; of one that works again they hear once.

Nothing here fails a task, or keeps one waiting for long.
"""

import logging
from typing import Any
from urllib.parse import quote

from airflow.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from plugins.ending import ending
from plugins.model_rollout.answer import what_ended
from plugins.notices.publishing import keep_news, publish_soon, tell_at_once
from plugins.outside.pipeline import open_pipeline
from plugins.refusals import Refusal, print_ending

log = logging.getLogger(__name__)

_GAVE_UP = "Another try would end the same way: mend the cause, then clear the task"
_TRIED = "Every try failed: mend the cause, then clear the task, or leave it to the next run"


def tell_failure(context: Any) -> None:
    """Tell of a failed task. How a retraining ended is no fault: an event of its own tells it."""
    from pipeline.bootstrap import Fault, Place

    ti, error = context["ti"], context.get("exception")
    refused = error.ended if isinstance(error, Refusal) else None
    if refused and refused.has_news:
        publish_soon()
        print_ending(error)
        return
    advice = (refused and refused.advice) or (_GAVE_UP if isinstance(error, AirflowFailException) else _TRIED)
    place = Place(ti.dag_id, ti.task_id)
    fault = Fault(place, ti.map_index, context["run_id"], what_ended(context), advice, ti.log_url)
    away = keep_news(lambda p: p.report_fault(fault))
    if away and _news(ti):
        tell_at_once(f"{ti.dag_id}: {ti.task_id} failed", f"{fault.reason}. {advice}. Log: {ti.log_url} ({away})")
    if refused:
        print_ending(error)
    else:
        print(ending(f"{ti.dag_id}: {ti.task_id} failed", [fault.reason], advice, ""))


def note_success(context: Any) -> None:
    """Note that a task succeeded that failed before; the monitor tells people once it has worked for a while."""
    from pipeline.bootstrap import GiveUp, Place, TryAgain

    ti = context["ti"]
    try:
        open_pipeline().report_success(Place(ti.dag_id, ti.task_id), ti.map_index)
    except (GiveUp, TryAgain) as error:
        # The next success notes it.
        log.warning("it is not kept that %s works: %s", ti.task_id, error)


def tell_overdue(context: Any) -> None:
    """Tell of a run that Airflow ended because it took too long, which fails none of its tasks."""
    if context.get("reason") == "timed_out":
        # Airflow names a task that had not ended, when there is one.
        link = context["ti"].log_url if "ti" in context else "Dags in Airflow"
        dag_id, run_id = context["dag"].dag_id, context["run_id"]
        if away := keep_news(lambda p: p.report_overdue(dag_id, run_id, link)):
            tell_at_once(f"{dag_id}: a run took too long", f"{run_id} was ended: {link} ({away})")


def tell_late(context: Any) -> None:
    """Tell of a run that goes on after its deadline. Airflow describes the run as its API does."""
    run = context["dag_run"]
    dag_id, run_id = run["dag_id"], run["dag_run_id"]
    link = f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/dags/{dag_id}/runs/{quote(run_id, safe='')}"
    if away := keep_news(lambda p: p.report_overdue(dag_id, run_id, link, ended=False)):
        tell_at_once(f"{dag_id}: a run takes long", f"{run_id} still goes on: {link} ({away})")


def _news(ti: Any) -> bool:
    """Whether the task's last run did not fail as well. Without our database, only Airflow knows what was
    told before.
    """
    try:
        before = ti.get_previous_ti(map_index=ti.map_index)
    except Exception:  # noqa: BLE001 - told twice is better than never
        return True
    return before is None or before.state != "failed"
