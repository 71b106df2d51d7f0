"""### Brings an earlier model back, on every replica that can be reached, at once.

**Trigger** it with a *target* and a *reason*. The target is `previous`, the version that really served before this one
(never one that was taken down), or a version that served once. With *approval* somebody has to allow it first: the
question names the version. An approval is worth nothing once another version serves; the question then ends by itself.
After a no, or when nobody answered within 24 hours, the run fails and says that nothing was changed.

A replica that is dead does not hold up the others. The run names the replicas that are missing, people are told, and
`complete` keeps trying until the last one is back; only then is the run green. A rollback that failed pages.

A rollback waits for nothing that the retraining does: it has a pool and executor slots of its own, beside the scheduler
also where other tasks run on workers. Two people who press the button at once take one step back, not two.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, get_current_context, task

from pipeline.bootstrap import MODEL_TYPES, WATCHED_TYPES
from plugins.every_dag import every_dag, every_task
from plugins.forms import END, reason
from plugins.model_rollout.roll_back import RollBackOperator
from plugins.notices.publishing import publish_and_tell, publish_soon
from plugins.places import beside_scheduler
from plugins.steps import step

_VERSION = r"v\d{1,6}\.\d{1,6}\.\d{1,6}"


@dag(
    # A day of waiting for a person's word, and a week for the last replica.
    **every_dag(longest=timedelta(days=9)),
    schedule=None,
    # Runs that wait for an answer or for a dead replica are still running: none of them may keep the next one waiting.
    max_active_runs=100,
    doc_md=__doc__,
    tags=["rollback"],
    params={
        "target": Param(
            "previous",
            type="string",
            pattern=f"^(previous|{_VERSION}){END}",
            description_md="`previous`, or a version such as `v1.2.0` that served before.",
        ),
        "reason": reason(least=3),
        "model_type": Param(MODEL_TYPES[0], type="string", enum=list(WATCHED_TYPES)),
        "approval": Param(False, type="boolean", description_md="Ask somebody before anything changes."),
        "judged": Param(
            None,
            type=["null", "string"],
            pattern=f"^{_VERSION}{END}",
            section="For the monitor",
            description_md="The version that the monitor found too bad. Ignored when a person triggers.",
        ),
    },
    default_args=every_task(
        retries=3,
        retry_delay=timedelta(seconds=5),
        longest_try=timedelta(minutes=10),
        priority_weight=100,
        **beside_scheduler(),
    ),
)
def model_rollback() -> None:
    @task
    def publish_events() -> int:
        return publish_and_tell()

    # Tries for a week; a change of champion meanwhile ends it. In the pool of changes that can wait, not in the
    # emergency's: a replica that hangs may hold a slot for a minute each time.
    @task(
        pool="serving_swap",
        retries=2000,
        retry_delay=timedelta(seconds=30),
        retry_exponential_backoff=2.0,
        max_retry_delay=timedelta(minutes=5),
    )
    def complete() -> dict[str, object]:
        try:
            return step(lambda p: p.complete_rollback(get_current_context()["params"]["model_type"]))
        finally:
            publish_soon()

    RollBackOperator(task_id="roll_back") >> [publish_events(), complete()]


model_rollback()
