"""### Takes the confirmations of branch managers in, and starts a retraining when one is due.

Waits until enough messages are on the task queue, or have been there long enough (a deferred sensor that only looks),
stores them, and acknowledges them once they are stored. It stays while more come: each is stored within seconds, and
steady traffic makes few runs (`RETRAIN_INTAKE_*`). While RabbitMQ or the database is away it waits, too. After six
silent hours it goes on without any. Then it asks the retraining policy; each answer is kept in `retraining_decisions`
with its reason. A retraining that waits in the queue is not asked for twice. `pauses` tells people of a DAG that is
paused and should not be.

Pausing this DAG loses nothing: messages stay in RabbitMQ.
"""

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, task

from pipeline.bootstrap import Asker
from plugins.claim import idle
from plugins.every_dag import every_dag, every_task
from plugins.pauses import look_for_pauses
from plugins.steps import step
from plugins.task_events.due import may_start
from plugins.task_events.sensor import TaskEventsSensor

_RETRAINING = "laundry_model_retraining"


@dag(
    **every_dag(longest=timedelta(days=7)),
    schedule="@continuous",
    max_active_runs=1,
    doc_md=__doc__,
    tags=["retraining", "intake"],
    # Together more than an hour: what goes away in the middle of a run is waited for, too.
    default_args=every_task(
        retries=12,
        retry_delay=timedelta(seconds=10),
        longest_try=timedelta(hours=1),
        retry_exponential_backoff=2.0,
        max_retry_delay=timedelta(minutes=10),
    ),
)
def task_confirmed_intake() -> None:
    wait_for_events = TaskEventsSensor(task_id="wait_for_events")

    @task
    def drain() -> dict[str, int]:
        return step(lambda p: p.accumulate(stay=True))

    @task
    def consider() -> dict[str, object]:
        return step(lambda p: p.consider("LAUNDRY", Asker("task_confirmed_intake", idle=idle(_RETRAINING))))

    @task.short_circuit
    def due(decision: dict[str, object]) -> bool:
        return may_start(decision, _RETRAINING)

    @task
    def pauses() -> list[str]:
        return look_for_pauses()

    retrain = TriggerDagRunOperator(
        task_id="retrain",
        trigger_dag_id=_RETRAINING,
        # A retry finds the run it started before instead of starting a second one.
        trigger_run_id="corrections-{{ ti.xcom_pull(task_ids='consider')['decision_id'] }}",
        logical_date=None,
        skip_when_already_exists=True,
        conf={"reason": "{{ ti.xcom_pull(task_ids='consider')['reason'] }}"},
    )

    decision = consider()
    wait_for_events >> drain() >> decision
    wait_for_events >> pauses()
    due(decision) >> retrain


task_confirmed_intake()
