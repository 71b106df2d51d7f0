"""### Moves old versions' model files to S3 Glacier.

The newest 10 of a model type keep their files. So do, whatever their age, the champion, the version that a rollback
would bring back, a canary, what a replica serves or keeps warm, and what a running retraining made. A copy is read back
and compared before anything is removed. **Trigger** it with *dry_run* to see what would be moved, and why the others
stay. `python -m pipeline restore VERSION` brings one back.

*prune* throws away what can be made again, or nobody asks for any more:

- images and caches of all but the newest 10 datasets
- model files of a run, 90 days after it was refused, or 365 days without an answer or a verdict
- after 400 days the monitor's readings, and decisions against a retraining
- events, 400 days after everybody has them
- MLflow's runs of models that got no number, after 400 days
- what a killed collection of faces left of somebody who was erased

Manifests, reports and verdicts stay. Nothing waits for it, and it waits for nothing. Settings `RETRAIN_KEEP_…` are
these numbers.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from pipeline.bootstrap import WATCHED_TYPES
from plugins.every_dag import every_dag, every_task
from plugins.steps import demand_none_failed, step


@dag(
    **every_dag(longest=timedelta(days=2)),
    schedule=CronTriggerTimetable("0 4 * * 0", timezone="Asia/Seoul"),
    max_active_runs=1,
    doc_md=__doc__,
    tags=["retention"],
    params={
        "dry_run": Param(False, type="boolean", description_md="Only say what would be moved or go; touch nothing."),
        "keep": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=1000,
            description_md="How many versions of each model type keep their files; empty for the setting.",
        ),
    },
    default_args=every_task(retries=3, retry_delay=timedelta(seconds=30), longest_try=timedelta(hours=6)),
)
def model_retention() -> None:
    @task(map_index_template="{{ task.op_kwargs['model_type'] }}")
    def retire(model_type: str) -> dict[str, object]:
        context = get_current_context()
        params, run = context["params"], context["dag_run"]
        who = run.triggering_user_name or context["dag"].dag_id
        how = {"keep": params["keep"], "dry_run": params["dry_run"]}
        return demand_none_failed(step(lambda p: p.retire(model_type, who, run.run_id, **how)))

    @task(map_index_template="{{ task.op_kwargs['model_type'] }}")
    def prune(model_type: str) -> dict[str, object]:
        dry_run = get_current_context()["params"]["dry_run"]
        return step(lambda p: p.prune(model_type, dry_run=dry_run))

    retire.expand(model_type=list(WATCHED_TYPES))
    prune.expand(model_type=list(WATCHED_TYPES))


model_retention()
