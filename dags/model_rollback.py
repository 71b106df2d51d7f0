"""### Brings an earlier model back on every replica.

**Trigger** it with *target* `previous` (the version that really served before; never one that was taken down
automatically) or a version that served once, and a *reason*. With *approval* somebody has to allow it first. The swap
is two-phase over the whole fleet; it is done only when every replica, asked afterwards, says it serves the target.
Anything else fails the run, and pages.

Safe while a retraining runs: both take turns at the fleet, a rollback first, and a candidate that was verified against
another champion is refused. Two people who press the button at once take one step back, not two.
"""

from datetime import datetime, timedelta

from airflow.sdk import Param, dag, task

from pipeline.bootstrap import MODEL_TYPES
from plugins.model_rollout.roll_back import RollBackOperator
from plugins.notices import tell_people
from plugins.retraining_tasks import step

_VERSION = r"v\d{1,6}\.\d{1,6}\.\d{1,6}"


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["rollback"],
    params={
        "target": Param(
            "previous",
            type="string",
            pattern=f"^(previous|{_VERSION})$",
            description_md="`previous`, or a version such as `v1.2.0` that served before.",
        ),
        "reason": Param("by hand", type="string", minLength=3, maxLength=500, description_md="Kept for ever."),
        "model_type": Param("LAUNDRY", type="string", enum=list(MODEL_TYPES)),
        "approval": Param(False, type="boolean", description_md="Ask somebody before anything changes."),
        "judged": Param(
            None,
            type=["null", "string"],
            pattern=f"^{_VERSION}$",
            section="For the monitor",
            description_md="The champion an automatic rollback is about; ignored when a person triggers.",
        ),
    },
    default_args={"owner": "mlops", "retries": 3, "retry_delay": timedelta(seconds=5)},
)
def model_rollback() -> None:
    @task
    def publish_events() -> int:
        published = step(lambda p: p.publish_events())
        tell_people()
        return published

    RollBackOperator(task_id="roll_back") >> publish_events()


model_rollback()
