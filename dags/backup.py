"""### Copies every database to S3 each night, and throws away what is older than promised.

With the log, which `log_receiver` brings there as it is written, every moment of the last 30 days can be restored
(`RETRAIN_BACKUP_KEEP_DAYS`): `python -m pipeline backups restore`, see *A backup has to come back* in the runbook.
Where `RETRAIN_BACKUP_DSN` is empty, somebody else backs the databases up: erasures are written down beside the
datasets all the same, the copy is skipped, and alerts of old copies end.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

from plugins.every_dag import every_dag, every_task
from plugins.places import beside_scheduler
from plugins.steps import step


@dag(
    **every_dag(longest=timedelta(hours=12)),
    schedule=CronTriggerTimetable("30 3 * * *", timezone="Asia/Seoul"),
    max_active_runs=1,
    doc_md=__doc__,
    tags=["backup"],
    # The key to every database, and room to rebuild them, are beside the scheduler alone.
    default_args=every_task(
        retries=3, retry_delay=timedelta(minutes=5), longest_try=timedelta(hours=6), **beside_scheduler()
    ),
)
def backup() -> None:
    @task
    def keep_erasures() -> None:
        step(lambda p: p.keep_erasures())

    @task.short_circuit
    def wanted() -> bool:
        return step(lambda p: p.backups_still_wanted())

    @task
    def copy() -> dict[str, object]:
        return step(lambda p: p.back_up())

    keep_erasures() >> wanted() >> copy()


backup()
