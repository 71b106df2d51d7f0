"""Reports as buttons of the tasks that wrote them."""

from typing import Any

from airflow.sdk import BaseOperatorLink

REPORT_URL = "report_url"


class VerificationReportLink(BaseOperatorLink):
    """Button of the task that pushed its report's address as XCom `report_url`, also when the task then failed."""

    name = "Verification report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        # Airflow asks in the worker, when the task has ended, with the task instance itself.
        return str(ti_key.xcom_pull(task_ids=ti_key.task_id, key=REPORT_URL) or "")


class DataReportLink(VerificationReportLink):
    """The same of the task that checked the data."""

    name = "Data report"
