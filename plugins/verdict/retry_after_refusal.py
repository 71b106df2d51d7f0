"""One more run after a refusal: what a person asked for travels along, what verification advises goes on top."""

from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import AirflowSkipException

from plugins.steps import step

# Fields of the form that the retry sets itself, and why; every other one travels, also one that is added later.
NOT_TRAVELLING = {
    "force": "the retry is always forced: the policy was asked before the first run",
    "reason": "its own says which run was refused and what is changed",
    "dataset_id": "it trains on the dataset of the refused run, which may have had none in its form",
}


class RetryAfterRefusal(TriggerDagRunOperator):
    """Starts the same DAG again where verification says that other hyperparameters may help; skips otherwise.

    Runs only when the task before it failed. The new run waits until this one has ended (`max_active_runs=1`).
    """

    template_fields = (*TriggerDagRunOperator.template_fields, "run")

    def __init__(self, *, run: str, **kwargs: Any) -> None:
        super().__init__(
            logical_date=None, skip_when_already_exists=True, trigger_rule=TriggerRule.ONE_FAILED, **kwargs
        )
        self.run = run

    def execute(self, context: Any) -> Any:
        following = step(lambda p: p.retry(self.run))
        if following is None:
            raise AirflowSkipException("other hyperparameters cannot help, or enough of them were tried")
        self.trigger_run_id = following["run_id"]
        self.conf = conf_of_retry(context["params"], following)
        return super().execute(context)


def conf_of_retry(form: Mapping[str, Any], following: Mapping[str, Any]) -> dict[str, Any]:
    """`form` as a person filled it in, `following` as `Pipeline.retry` answers."""
    travelling = {name: form[name] for name in form if name not in NOT_TRAVELLING}
    own = {"force": True, "reason": following["reason"], "dataset_id": following["dataset_id"]}
    return {**travelling, **following["hyperparameters"], **own}
