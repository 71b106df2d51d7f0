"""### From corrections to a verified model that serves.

due? → collect → validate → augment (one task a slice of photos) → assemble → train → verify accuracy ∥ performance →
decide → register → hot swap (with *rollout* `canary`: a share of the requests first).

Runs when `task_confirmed_intake` finds enough corrections, every night when computing becomes cheap under the same
policy (`RETRAIN_CHEAP_FROM`, 02:00 in Seoul), or by hand: **Trigger**, with *force* to train whatever the policy says.
What becomes due by day and is not urgent waits for the night; people do not wait. A refused model fails the run at
`decide` with the reasons and a link to the report, and the champion keeps serving. Where other hyperparameters may
help, `retry` starts one more run: on the same dataset, with everything that was asked for in this form, and the advised
hyperparameters on top. Every task may be cleared and run again.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, get_current_context, task, task_group
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from pipeline.bootstrap import BACKBONES, LATE_RUN, LONGEST_RUN, MAX_EPOCHS, MODEL_TYPES, cheap_hours
from plugins.assets import dataset, describe, version
from plugins.claim import claim, conclude
from plugins.every_dag import every_dag, every_task
from plugins.faults import tell_late
from plugins.forms import reason
from plugins.model_rollout.hot_swap import HotSwapOperator
from plugins.places import beside, heavy, of_slices
from plugins.steps import step
from plugins.training.task import demand_runtime, train_task
from plugins.verdict.links import REPORT_URL, DataReportLink, DatasetLink, ExperimentLink, VerificationReportLink
from plugins.verdict.retry_after_refusal import RetryAfterRefusal

# NaN is not below any bound nor above one; this asks the other way round.
_NOT_NAN = {"not": {"type": "number", "minimum": 2}}
_PARAMS = {
    "force": Param(False, type="boolean", title="Force", description_md="Train whatever the retraining policy says."),
    "reason": reason(),
    "rollout": Param(
        "full",
        type="string",
        enum=["full", "canary"],
        description_md="`canary`: a share of the requests first, everybody once people confirmed it. `full`: everybody "
        "at once.",
    ),
    "approval": Param(False, type="boolean", description_md="Ask somebody before everybody gets the new model."),
    "dataset_id": Param(
        None,
        type=["null", "string"],
        # The end of the text, not of its last line as `$` has it.
        pattern=r"^DS-\d{4}-\d{3,}(?![\s\S])",
        description_md="Train on this dataset again, e.g. `DS-2026-001`, instead of collecting a new one; "
        "the model gets a patch version. Empty: collect the corrections there are.",
    ),
    "backbone": Param(
        None,
        type=["null", "string"],
        enum=[None, *BACKBONES],
        section="Hyperparameters",
        description_md="The network whose features are used, trained on ImageNet; empty for the setting.",
    ),
    "epochs": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=MAX_EPOCHS,
        section="Hyperparameters",
        description_md="How often the training sees every photo, at most; empty for the setting.",
    ),
    "batch_size": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=4096,
        section="Hyperparameters",
        description_md="Photos in one step of the training; empty for the setting.",
    ),
    "learning_rate": Param(
        None,
        type=["null", "number"],
        exclusiveMinimum=0,
        maximum=1,
        **_NOT_NAN,
        section="Hyperparameters",
        description_md="How far one step moves the weights; empty for the setting.",
    ),
    "label_smoothing": Param(
        None,
        type=["null", "number"],
        minimum=0,
        exclusiveMaximum=1,
        **_NOT_NAN,
        section="Hyperparameters",
        description_md="How much the training distrusts every label, 0 to 1; empty for the setting.",
    ),
    "sweep": Param(
        False,
        type="boolean",
        section="Hyperparameters",
        description_md="Try other learning rates and label smoothings as well, and go on with the best; what each came "
        "to is in the experiment tracker, `sweep.json`.",
    ),
}
# In seconds: of a run that has a deadline as a timedelta Airflow 3.3 clears no task (apache/airflow#70368).
_LATE: Any = LATE_RUN.total_seconds()
_LONGEST_PAUSE = timedelta(minutes=10)
_DEFAULTS = every_task(
    retries=3,
    retry_delay=timedelta(seconds=15),
    longest_try=timedelta(hours=3),
    retry_exponential_backoff=2.0,
    max_retry_delay=_LONGEST_PAUSE,
)
RUN_ID = "{{ run_id | replace(':', '-') | replace('+', '-') }}"


@task.short_circuit(ignore_downstream_trigger_rules=True)
def begin(run: str, model_type: str) -> bool:
    demand_runtime()
    return claim(run, model_type)


@task
def collect(run: str, model_type: str) -> str:
    return step(lambda p: p.collect(run, model_type, get_current_context()["params"]["dataset_id"]))


@task
def validate(dataset_id: str) -> dict[str, object]:
    get_current_context()["ti"].xcom_push(REPORT_URL, step(lambda p: p.data_report(dataset_id)))
    return step(lambda p: p.validate(dataset_id))


@task
def plan(dataset_id: str) -> list[int]:
    return step(lambda p: p.slices(dataset_id))


@task(**of_slices(), map_index_template="slice {{ task.op_kwargs['index'] }}")
def augment_slice(dataset_id: str, index: int) -> str:
    return step(lambda p: p.augment_slice(dataset_id, index))


@task
def assemble(run: str, dataset_id: str, model_type: str) -> dict[str, object]:
    counts = step(lambda p: p.assemble(run, dataset_id))
    describe(dataset(model_type), run_id=run, **counts)
    return counts


@task_group
def verify(run: str) -> None:
    @task(**heavy())
    def accuracy(run: str) -> list[dict[str, object]]:
        return step(lambda p: p.verify_accuracy(run))

    @task(**heavy())
    def performance(run: str) -> list[dict[str, object]]:
        return step(lambda p: p.verify_performance(run))

    accuracy(run)
    performance(run)


@task
def decide(run: str) -> dict[str, object]:
    verdict = step(lambda p: p.decide(run))
    get_current_context()["ti"].xcom_push(REPORT_URL, verdict[REPORT_URL])
    return step(lambda p: p.demand_acceptance(run, verdict))


@task
def register(run: str, model_type: str) -> str:
    step(lambda p: p.resume_run(run, model_type))
    registered = step(lambda p: p.register(run))
    describe(version(model_type), version=registered, run_id=run)
    return registered


# Tries for as long as a run may last: nothing else gives the claim back.
@task(retries=LONGEST_RUN // _LONGEST_PAUSE)
def finish(run: str) -> str:
    return conclude(run)


def model_retraining(model_type: str, schedule: CronTriggerTimetable) -> DAG:
    with DAG(
        **every_dag(longest=LONGEST_RUN),
        dag_id=f"{model_type.lower()}_model_retraining",
        schedule=schedule,
        max_active_runs=1,
        params=_PARAMS,
        doc_md=__doc__,
        tags=["retraining", model_type],
        deadline=DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, _LATE, SyncCallback(tell_late, executor=beside())),
        default_args=_DEFAULTS,
    ) as retraining:
        _wire(model_type, retraining.dag_id)
    return retraining


def _wire(model_type: str, dag_id: str) -> None:
    started = begin(RUN_ID, model_type)
    dataset_id = collect(RUN_ID, model_type)
    dataset_id.operator.operator_extra_links = (DatasetLink(),)
    checked = validate(dataset_id)
    checked.operator.operator_extra_links = (DataReportLink(),)
    slices = plan(dataset_id)
    shards = augment_slice.partial(dataset_id=dataset_id).expand(index=slices)
    assembled = assemble.override(outlets=[dataset(model_type)])(RUN_ID, dataset_id, model_type)
    trained = train_task(model_type, RUN_ID)
    trained.operator_extra_links = (*trained.operator_extra_links, ExperimentLink(model_type))
    decided = decide(RUN_ID)
    decided.operator.operator_extra_links = (VerificationReportLink(),)
    registered = register.override(outlets=[version(model_type)])(RUN_ID, model_type)
    registered.operator.operator_extra_links = (ExperimentLink(model_type),)
    swapped = HotSwapOperator(task_id="hot_swap", model_type=model_type, version=registered)
    started >> dataset_id
    checked >> slices
    shards >> assembled >> trained >> verify(RUN_ID) >> decided >> registered
    # A teardown runs also in a run that a person marks as failed.
    swapped >> finish(RUN_ID).as_teardown(on_failure_fail_dagrun=True)
    decided >> RetryAfterRefusal(task_id="retry", run=RUN_ID, trigger_dag_id=dag_id)


_NIGHT = cheap_hours()
for kind in MODEL_TYPES:
    globals()[kind.lower()] = model_retraining(kind, CronTriggerTimetable(_NIGHT.cron, timezone=_NIGHT.zone))
