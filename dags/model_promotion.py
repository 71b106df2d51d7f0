"""### Puts a registered version live: everybody at once, or a canary first.

For a version that verification accepted but that is not live: its run ended before the swap, promotions were frozen
at that time, somebody rolled it back, or a canary is wanted. With *rollout* `canary` it answers a share of the requests
until people confirmed enough of its verdicts; then everybody gets it, or nobody. With *approval* somebody has to allow
that last step; after a no the run fails and says that nobody gets it.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task

from pipeline.bootstrap import LONGEST_RUN, MODEL_TYPES, WATCHED_TYPES
from plugins.every_dag import every_dag, every_task
from plugins.forms import reason
from plugins.model_rollout.hot_swap import HotSwapOperator
from plugins.notices.publishing import publish_and_tell


@dag(
    **every_dag(longest=LONGEST_RUN),
    schedule=None,
    # A run that waits for a canary or an answer keeps nobody waiting; what may go on beside it the ledger says.
    max_active_runs=16,
    doc_md=__doc__,
    tags=["rollout"],
    params={
        "version": Param(
            "v0.0.0",
            type="string",
            # The end of the text, not of its last line as `$` has it.
            pattern=r"^v\d{1,6}\.\d{1,6}\.\d{1,6}(?![\s\S])",
            description_md="A registered version, e.g. `v1.2.0`.",
        ),
        "rollout": Param(
            "canary",
            type="string",
            enum=["full", "canary"],
            description_md=f"`canary`: a share of the requests first; tries {' and '.join(MODEL_TYPES)} models alone. "
            "`full`: everybody at once.",
        ),
        "model_type": Param(MODEL_TYPES[0], type="string", enum=list(WATCHED_TYPES)),
        "approval": Param(False, type="boolean", description_md="Ask somebody before everybody gets it."),
        "reason": reason(least=3),
    },
    default_args=every_task(retries=3, retry_delay=timedelta(seconds=5), longest_try=timedelta(hours=1)),
)
def model_promotion() -> None:
    @task
    def publish_events() -> int:
        return publish_and_tell()

    swapped = HotSwapOperator(task_id="hot_swap", model_type="{{ params.model_type }}", version="{{ params.version }}")
    swapped >> publish_events()


model_promotion()
