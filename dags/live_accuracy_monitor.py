"""### Watches how often the champion is right, by what people confirm, and takes it down when it is surely too bad.

Below 85 % people are told, once until it has recovered. Below 80 %, beyond doubt and on enough confirmations that had
time to be corrected, `model_rollback` is triggered, without asking: at most once for a version. Nothing is promoted
afterwards until somebody looked (`python -m pipeline clear-freeze`). Too few or too old confirmations are *unknown*,
never *ok*. Every look is kept in `live_accuracy_readings` with its reason.

`reconcile` brings replicas and registry of every model type back to what the transition log says; it fails while a
replica is missing. What it waits for keeps neither the next look nor a rollback waiting. `pauses` tells people of a
DAG that is paused and should not be.

`RETRAIN_MONITOR_SCHEDULE` sets the period (cron, UTC; every 15 minutes by default).
"""

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import CronTriggerTimetable, dag, task

from pipeline.bootstrap import MODEL_TYPES
from pipeline.bootstrap.settings_at_start import monitor_schedule
from plugins.every_dag import every_dag, every_task
from plugins.model_rollout.roll_back import page_about_verdict
from plugins.notices import tell_people
from plugins.pauses import look_for_pauses
from plugins.steps import demand_complete, step

_SEEN = "ti.xcom_pull(task_ids='watch')"


@dag(
    **every_dag(longest=timedelta(days=1)),
    schedule=CronTriggerTimetable(monitor_schedule(), timezone="UTC"),
    # A reconcile that waits for a dead replica must not keep the next look waiting.
    max_active_runs=4,
    doc_md=__doc__,
    tags=["live", "rollback", "LAUNDRY"],
    default_args=every_task(retries=2, retry_delay=timedelta(seconds=5), longest_try=timedelta(minutes=5)),
)
def live_accuracy_monitor() -> None:
    @task.short_circuit(pool="emergency", priority_weight=100, max_active_tis_per_dag=1)
    def watch() -> dict[str, object] | None:
        seen = step(lambda p: p.watch("LAUNDRY"))
        print(*(seen[name] for name in ("reason", "problem") if seen.get(name)), sep="\n")
        if seen["act"]:
            # The rollback tells people: no mail server that hangs may keep it from beginning.
            return seen
        tell_people()
        return None

    @task(max_active_tis_per_dag=len(MODEL_TYPES), map_index_template="{{ task.op_kwargs['model_type'] }}")
    def reconcile(model_type: str) -> dict[str, object]:
        return demand_complete(step(lambda p: p.reconcile(model_type)))

    @task
    def pauses() -> list[str]:
        return look_for_pauses()

    roll_back = TriggerDagRunOperator(
        task_id="roll_back",
        trigger_dag_id="model_rollback",
        pool="emergency",
        priority_weight=100,
        # Named by this run: a retry finds it, and the next period may try again what failed.
        trigger_run_id=f"live-accuracy-{{{{ {_SEEN}['version'] }}}}-{{{{ run_id }}}}",
        logical_date=None,
        skip_when_already_exists=True,
        fail_when_dag_is_paused=True,
        on_failure_callback=page_about_verdict,
        conf={
            "target": f"{{{{ {_SEEN}['target'] }}}}",
            "judged": f"{{{{ {_SEEN}['version'] }}}}",
            "reason": f"{{{{ {_SEEN}['reason'] }}}}",
            "model_type": "LAUNDRY",
        },
    )
    watch() >> roll_back
    reconcile.expand(model_type=list(MODEL_TYPES))
    pauses()


live_accuracy_monitor()
