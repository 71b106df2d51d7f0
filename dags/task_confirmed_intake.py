"""### Takes the confirmations of branch managers in, and starts a retraining when one is due.

Waits for messages on the task queue (a deferred sensor that only looks), stores them, and acknowledges them once they
are stored. After six silent hours it goes on without any. Then it asks the retraining policy; each answer is kept in
`retraining_decisions` with its reason.

Pausing this DAG loses nothing: messages stay in RabbitMQ.
"""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, task

from plugins.steps import step
from plugins.task_events.sensor import TaskEventsSensor


@dag(
    schedule="@continuous",
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    catchup=False,
    # Nothing pauses it: without it no correction is ever learned from.
    is_paused_upon_creation=False,
    doc_md=__doc__,
    tags=["retraining", "intake"],
    default_args={"owner": "mlops", "retries": 3, "retry_delay": timedelta(seconds=10)},
)
def task_confirmed_intake() -> None:
    wait_for_events = TaskEventsSensor(task_id="wait_for_events")

    @task
    def drain() -> dict[str, int]:
        return step(lambda p: p.accumulate())

    @task
    def consider() -> dict[str, object]:
        return step(lambda p: p.consider("LAUNDRY", asked_by="task_confirmed_intake"))

    @task.short_circuit
    def due(decision: dict[str, object]) -> bool:
        print(decision["reason"])
        return bool(decision["due"])

    retrain = TriggerDagRunOperator(
        task_id="retrain",
        trigger_dag_id="laundry_model_retraining",
        # A retry finds the run it started before instead of starting a second one.
        trigger_run_id="corrections-{{ ti.xcom_pull(task_ids='consider')['decision_id'] }}",
        logical_date=None,
        skip_when_already_exists=True,
        conf={"reason": "{{ ti.xcom_pull(task_ids='consider')['reason'] }}"},
    )

    decision = consider()
    wait_for_events >> drain() >> decision
    due(decision) >> retrain


task_confirmed_intake()
