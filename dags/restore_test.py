"""### Restores every database once a week, beside what runs, and compares: a backup that nobody restored is none.

All are rebuilt as they were at one moment, from the newest copy and the log. Then every page of every table is read,
rows that are only added to are counted on both sides, totals have to be those of the rows that came back, no photo is
in a dataset twice, and the transition log, `model_versions` and the models' files have to agree. What differs fails
the task, and people are told. Nothing that runs is touched.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

from plugins.every_dag import every_dag, every_task
from plugins.places import beside_scheduler
from plugins.steps import step


@dag(
    **every_dag(longest=timedelta(days=1)),
    schedule=CronTriggerTimetable("0 6 * * 0", timezone="Asia/Seoul"),
    max_active_runs=1,
    doc_md=__doc__,
    tags=["backup"],
    # The key to every database, and room to rebuild them, are beside the scheduler alone.
    default_args=every_task(
        retries=2, retry_delay=timedelta(minutes=10), longest_try=timedelta(hours=6), **beside_scheduler()
    ),
)
def restore_test() -> None:
    @task.short_circuit
    def wanted() -> bool:
        return step(lambda p: p.backups_still_wanted())

    @task
    def restore() -> dict[str, object]:
        return step(lambda p: p.test_restore())

    wanted() >> restore()


restore_test()
