"""Whether any DAG is paused that should always run, asked from inside DAGs: each of two that look sees the other."""

from airflow.sdk import get_current_context

from pipeline.bootstrap import ALWAYS_ON
from plugins.notices.publishing import publish_soon
from plugins.steps import step


def look_for_pauses() -> list[str]:
    """The DAGs that are paused; people are told when that begins and when it ends."""
    ti = get_current_context()["ti"]
    paused = {dag_id: bool(ti.get_dag(dag_id).is_paused) for dag_id in ALWAYS_ON}
    step(lambda p: p.report_pauses(paused, ALWAYS_ON))
    publish_soon()
    return [dag_id for dag_id, is_paused in paused.items() if is_paused]
