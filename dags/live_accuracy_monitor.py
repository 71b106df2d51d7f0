"""### Watches how right the champion is on what people confirm, and takes it down when it is surely too bad.

Below 85 % an alert, once an episode, and a notice when it recovered. Below 80 %, beyond doubt and on enough matured
confirmations, `model_rollback` is triggered: at most once a version, and nothing is promoted afterwards until
somebody looked (`python -m pipeline clear-freeze`). Too few or too old confirmations are *unknown*, never *ok*. Every
look is kept in `live_accuracy_readings` with its reason. `reconcile` brings replicas and registry back to what the
transition log says.

`RETRAIN_MONITOR_SCHEDULE` sets the period (cron, UTC; every 15 minutes by default).
"""

import os
from datetime import datetime, timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import CronTriggerTimetable, dag, task

from plugins.notices import tell_people
from plugins.retraining_tasks import step

_SEEN = "ti.xcom_pull(task_ids='watch')"


@dag(
    schedule=CronTriggerTimetable(os.environ.get("RETRAIN_MONITOR_SCHEDULE", "*/15 * * * *"), timezone="UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["live", "rollback", "LAUNDRY"],
    default_args={"owner": "mlops", "retries": 2, "retry_delay": timedelta(seconds=5)},
)
def live_accuracy_monitor() -> None:
    @task.short_circuit
    def watch() -> dict[str, object] | None:
        seen = step(lambda p: p.watch("LAUNDRY"))
        print(*(seen[name] for name in ("reason", "problem") if seen.get(name)), sep="\n")
        tell_people()
        return seen if seen["act"] else None

    @task
    def reconcile() -> dict[str, object]:
        return step(lambda p: p.reconcile("LAUNDRY"))

    roll_back = TriggerDagRunOperator(
        task_id="roll_back",
        trigger_dag_id="model_rollback",
        # Named by this run: a retry finds it, and the next period may try again what failed.
        trigger_run_id=f"live-accuracy-{{{{ {_SEEN}['version'] }}}}-{{{{ run_id }}}}",
        logical_date=None,
        skip_when_already_exists=True,
        fail_when_dag_is_paused=True,
        conf={
            "target": f"{{{{ {_SEEN}['target'] }}}}",
            "judged": f"{{{{ {_SEEN}['version'] }}}}",
            "reason": f"{{{{ {_SEEN}['reason'] }}}}",
            "model_type": "LAUNDRY",
        },
    )
    watch() >> roll_back
    reconcile()


live_accuracy_monitor()
