"""### Carries out what a person decided, under that person's name.

The dashboard triggers it; so can anybody here. *act* says what, *about* which one:

| act | about | does |
|---|---|---|
| `abort_canary` | a version | takes the version on trial out of the requests |
| `clear_freeze` | a freeze, as the dashboard names it | allows promotions again after that automatic rollback |
| `force_promote` | a version, or a run that has none | serves it although verification did not accept it |
| `approve` | a run, as the dashboard names it | lets a model go on that waits for a person; clear its `decide` then |
| `refuse` | a run, as the dashboard names it | a model that waits for a person does not go live |
| `requeue_letter` | a dead letter | puts the message back into the queue, once its cause is mended |
| `discard_letter` | a dead letter | throws the message away for ever |
| `withhold` | `version:v1.2.0`, `branch:…` or `reviewer:…` | no later dataset takes what was said then or there |
| `give_back` | what was set aside, as the dashboard names it | later datasets take it again |

What is not there any more, because somebody was faster or it ended by itself, fails the run and changes nothing:
the run says why, and nobody else is told. So does what only an administrator may do, `clear_freeze` and
`force_promote`; the latter needs a passed load test all the same.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, get_current_context, task

from pipeline.bootstrap import MODEL_TYPES, WATCHED_TYPES
from plugins.assets import CHAMPIONS
from plugins.decisions import ACTS, carry_out
from plugins.every_dag import every_dag, every_task
from plugins.forms import demanded_reason, line
from plugins.notices.publishing import publish_and_tell


@dag(
    **every_dag(longest=timedelta(hours=5)),
    schedule=None,
    # None of them waits for another one, nor for a retraining.
    max_active_runs=16,
    doc_md=__doc__,
    tags=["rollout"],
    params={
        "act": Param("clear_freeze", type="string", enum=list(ACTS), description_md="What; the table says each."),
        "about": line(
            "", longest=250, description_md="A version, a freeze, a run, or a dead letter, as *act* needs it."
        ),
        "model_type": Param(MODEL_TYPES[0], type="string", enum=list(WATCHED_TYPES)),
        "reason": demanded_reason(),
    },
    default_args=every_task(retries=3, retry_delay=timedelta(seconds=5), longest_try=timedelta(hours=1)),
)
def model_decision() -> None:
    @task(task_id="carry_out", outlets=[CHAMPIONS])
    def act() -> object:
        return carry_out(get_current_context())

    @task
    def publish_events() -> int:
        return publish_and_tell()

    act() >> publish_events()


model_decision()
