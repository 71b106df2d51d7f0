"""What the UI offers after a verdict: the report as a link, and one more run with other hyperparameters."""

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperatorLink, TriggerRule
from airflow.sdk.exceptions import AirflowSkipException

from plugins.retraining_tasks import step

REPORT_URL = "report_url"


class VerificationReportLink(BaseOperatorLink):
    """Button of the task that pushed its report's address as XCom `report_url`, also when the task then failed."""

    name = "Verification report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        # Airflow asks in the worker, when the task has ended, with the task instance itself.
        return str(ti_key.xcom_pull(task_ids=ti_key.task_id, key=REPORT_URL) or "")


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
        self.conf = {"force": True, "reason": following["reason"], **following["hyperparameters"]}
        return super().execute(context)
