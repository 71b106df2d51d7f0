"""### Brings an earlier model back on every replica.

**Trigger** it with *target* `previous` (the version that served before) or a version that served once, and a *reason*.
The swap is two-phase over the whole fleet; it is done only when every replica, asked afterwards, says it serves the
target. Safe while a retraining runs: both take turns at the fleet, and a candidate that was verified against another
champion is refused.
"""

from datetime import datetime, timedelta

from airflow.sdk import Param, dag, get_current_context, task

from plugins.retraining_tasks import step


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
            pattern=r"^(previous|v\d{1,6}\.\d{1,6}\.\d{1,6})$",
            description_md="`previous`, or a version such as `v1.2.0` that served before.",
        ),
        "reason": Param("by hand", type="string", minLength=3, maxLength=500, description_md="Kept for ever."),
        "model_type": Param("LAUNDRY", type="string", enum=["LAUNDRY", "FACE"]),
    },
    default_args={"owner": "mlops", "retries": 3, "retry_delay": timedelta(seconds=5)},
)
def model_rollback() -> None:
    @task(pool="serving_swap", priority_weight=100)
    def roll_back() -> dict[str, object]:
        context = get_current_context()
        params, run = context["params"], context["dag_run"]
        who = run.triggering_user_name or "a person"
        return step(
            lambda p: p.roll_back(params["model_type"], params["target"], params["reason"], who, request_id=run.run_id)
        )

    @task
    def publish_events() -> int:
        return step(lambda p: p.publish_events())

    roll_back() >> publish_events()


model_rollback()
