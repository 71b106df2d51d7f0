"""### Watches how often the champions are right, by what people confirm, and takes one down when it is surely too bad.

`watch` looks at laundry: below 85 % people are told, once until it has recovered; below 80 %, beyond doubt and on
enough confirmations that had time to be corrected, `model_rollback` is triggered, without asking. `watch_face` looks at
how many people are refused wrongly, and how many are let in wrongly: by bars of their own, beside the version before,
and by intervals that count people. A version is taken down at most once; nothing of its type is promoted afterwards
until somebody looked (`python -m pipeline clear-freeze`). Too few or too old confirmations are *unknown*, never *ok*.
Every look is kept in `live_accuracy_readings`, of faces in `face_readings`, with its reason.

`reconcile` brings replicas and registry of every model type back to what the transition log says; it fails while a
replica is missing. What it waits for keeps neither the next look nor a rollback waiting. `pauses` tells people of a
DAG that is paused and should not be.

`RETRAIN_MONITOR_SCHEDULE` sets the period (cron, UTC; every 15 minutes by default).
"""

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import CronTriggerTimetable, dag, task

from pipeline.bootstrap import MODEL_TYPES, WATCHED_TYPES
from pipeline.bootstrap.settings_at_start import monitor_schedule
from plugins.every_dag import every_dag, every_task
from plugins.model_rollout.roll_back import page_about_verdict
from plugins.notices import tell_people
from plugins.pauses import look_for_pauses
from plugins.places import beside_scheduler
from plugins.steps import demand_complete, step


def _named(task_id: str, model_type: str) -> str:
    """The first type's tasks have the plain names."""
    return task_id if model_type == MODEL_TYPES[0] else f"{task_id}_{model_type.lower()}"


@dag(
    **every_dag(longest=timedelta(days=1)),
    schedule=CronTriggerTimetable(monitor_schedule(), timezone="UTC"),
    # A reconcile that waits for a dead replica must not keep the next look waiting.
    max_active_runs=4,
    doc_md=__doc__,
    tags=["live", "rollback", *WATCHED_TYPES],
    # All of it: looks whose other tasks wait would keep the next look from beginning.
    default_args=every_task(
        retries=2, retry_delay=timedelta(seconds=5), longest_try=timedelta(minutes=5), **beside_scheduler()
    ),
)
def live_accuracy_monitor() -> None:
    def watch(model_type: str) -> dict[str, object] | None:
        seen = step(lambda p: p.watch(model_type))
        print(*(seen[name] for name in ("reason", "problem") if seen.get(name)), sep="\n")
        if seen["act"]:
            # The rollback tells people: no mail server that hangs may keep it from beginning.
            return seen
        tell_people()
        return None

    @task(max_active_tis_per_dag=len(WATCHED_TYPES), map_index_template="{{ task.op_kwargs['model_type'] }}")
    def reconcile(model_type: str) -> dict[str, object]:
        return demand_complete(step(lambda p: p.reconcile(model_type)))

    @task
    def pauses() -> list[str]:
        return look_for_pauses()

    for kind in WATCHED_TYPES:
        watch_id = _named("watch", kind)
        seen = f"ti.xcom_pull(task_ids='{watch_id}')"
        roll_back = TriggerDagRunOperator(
            task_id=_named("roll_back", kind),
            trigger_dag_id="model_rollback",
            pool="emergency",
            priority_weight=100,
            # Named by this run: a retry finds it, and the next period may try again what failed.
            trigger_run_id=_named("live-accuracy", kind) + f"-{{{{ {seen}['version'] }}}}-{{{{ run_id }}}}",
            logical_date=None,
            skip_when_already_exists=True,
            fail_when_dag_is_paused=True,
            on_failure_callback=page_about_verdict,
            conf={
                "target": f"{{{{ {seen}['target'] }}}}",
                "judged": f"{{{{ {seen}['version'] }}}}",
                "reason": f"{{{{ {seen}['reason'] }}}}",
                "model_type": kind,
            },
        )
        look = task.short_circuit(task_id=watch_id, pool="emergency", priority_weight=100, max_active_tis_per_dag=1)(
            watch
        )
        look(kind) >> roll_back
    reconcile.expand(model_type=list(WATCHED_TYPES))
    pauses()


live_accuracy_monitor()
