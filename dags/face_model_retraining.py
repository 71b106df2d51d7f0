"""### From what people confirmed at doors to a verified face model that serves.

due? → collect → learn → decide → register → hot swap.

Looks every night when computing becomes cheap (`RETRAIN_CHEAP_FROM`, 02:00 in Seoul) whether enough corrections about
enough people wait (`RETRAIN_FACE_MIN_CORRECTIONS`, `RETRAIN_FACE_MIN_TOUCHED`), and ends skipped, with the reason, when
they do not. **Trigger** looks at any hour, with *force* it trains whatever the policy says. The first model is made by
hand: `python -m pipeline face-model FOLDER --run-id NAME`.

*collect* takes what the access service's checks say of whom, and what the champion has learned from; of nobody who was
erased. With `RETRAIN_TRAINING_RUNTIME=kubernetes` the pod *train* does what needs TensorFlow, and *collect* and *learn*
find it done. A refused model fails the run at *decide* with the reasons and a link to the report, and the champion
keeps serving. Every task may be cleared and run again. No canary tries a face model: everybody gets it at once.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, chain, dag, get_current_context, task
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from pipeline.bootstrap import LATE_RUN, LONGEST_RUN, cheap_hours
from plugins.assets import dataset, describe, version
from plugins.claim import claim, conclude
from plugins.every_dag import every_dag, every_task
from plugins.faults import tell_late
from plugins.forms import reason
from plugins.model_rollout.hot_swap import HotSwapOperator
from plugins.places import CPU_HEAVY, GPU, beside
from plugins.steps import face_step, step
from plugins.training.task import demand_runtime, faces_apart
from plugins.verdict.links import REPORT_URL, VerificationReportLink

_FACE = "FACE"
# In seconds, as in the DAG of a laundry retraining.
_LATE: Any = LATE_RUN.total_seconds()
_LONGEST_PAUSE = timedelta(minutes=10)
_NIGHT = cheap_hours()
_RUN = "{{ run_id | replace(':', '-') | replace('+', '-') }}"


@dag(
    **every_dag(longest=LONGEST_RUN),
    schedule=CronTriggerTimetable(_NIGHT.cron, timezone=_NIGHT.zone),
    max_active_runs=1,
    doc_md=__doc__,
    tags=["retraining", _FACE],
    params={
        "force": Param(False, type="boolean", title="Force", description_md="Train whatever the policy says."),
        "reason": reason(),
        "approval": Param(False, type="boolean", description_md="Ask somebody before everybody gets the new model."),
    },
    deadline=DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, _LATE, SyncCallback(tell_late, executor=beside())),
    default_args=every_task(
        retries=3,
        retry_delay=timedelta(seconds=15),
        longest_try=timedelta(hours=3),
        retry_exponential_backoff=2.0,
        max_retry_delay=_LONGEST_PAUSE,
    ),
)
def face_model_retraining() -> None:
    @task.short_circuit(ignore_downstream_trigger_rules=True)
    def begin(run: str) -> bool:
        demand_runtime()
        return claim(run, _FACE, face_step)

    @task(outlets=[dataset(_FACE)], pool="training", queue=CPU_HEAVY)
    def collect(run: str) -> dict[str, object]:
        counts = face_step(lambda p: p.collect(run))
        describe(dataset(_FACE), run_id=run, **counts)
        return counts

    @task(pool="training", queue=GPU)
    def learn(run: str) -> dict[str, object]:
        return face_step(lambda p: p.learn(run))

    @task
    def decide(run: str) -> dict[str, object]:
        verdict = face_step(lambda p: p.judge(run))
        get_current_context()["ti"].xcom_push(REPORT_URL, verdict[REPORT_URL])
        return step(lambda p: p.demand_acceptance(run, verdict))

    @task(outlets=[version(_FACE)])
    def register(run: str) -> str:
        face_step(lambda p: p.resume_run(run, _FACE))
        registered = face_step(lambda p: p.register(run))
        describe(version(_FACE), version=registered, run_id=run)
        return registered

    # Tries for as long as a run may last: nothing else gives the claim back.
    @task(retries=LONGEST_RUN // _LONGEST_PAUSE)
    def finish(run: str) -> str:
        return conclude(run, face_step)

    decided, registered = decide(_RUN), register(_RUN)
    decided.operator.operator_extra_links = (VerificationReportLink(),)
    swapped = HotSwapOperator(task_id="hot_swap", model_type=_FACE, version=registered)
    chain(begin(_RUN), *faces_apart(_FACE, _RUN), collect(_RUN), learn(_RUN), decided, registered)
    # A teardown runs also in a run that a person marks as failed.
    swapped >> finish(_RUN).as_teardown(on_failure_fail_dagrun=True)


face_model_retraining()
