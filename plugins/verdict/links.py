"""What belongs to a task, as buttons of it: reports, the dataset, the run in the experiment tracker.

Airflow asks for the addresses in the worker, when the task has ended, with the task instance itself.
"""

import logging
from collections.abc import Callable
from typing import Any

from airflow.sdk import BaseOperatorLink
from airflow.sdk.exceptions import AirflowFailException

from plugins.steps import step

log = logging.getLogger(__name__)
REPORT_URL = "report_url"


class VerificationReportLink(BaseOperatorLink):
    """Button of the task that pushed its report's address as XCom `report_url`, also when the task then failed."""

    name = "Verification report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return str(ti_key.xcom_pull(task_ids=ti_key.task_id, key=REPORT_URL) or "")


class DataReportLink(VerificationReportLink):
    """The same of the task that checked the data."""

    name = "Data report"


class DatasetLink(BaseOperatorLink):
    """What was chosen, photo by photo."""

    name = "Dataset"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        dataset_id = ti_key.xcom_pull(task_ids="collect")
        return _asked(lambda p: p.dataset_link(dataset_id)) if dataset_id else ""


class ExperimentLink(BaseOperatorLink):
    """The retraining with its attempts in MLflow, also of a training that failed."""

    name = "MLflow run"

    def __init__(self, model_type: str) -> None:
        self._model_type = model_type

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        run = ti_key.run_id.replace(":", "-").replace("+", "-")
        return _asked(lambda p: p.experiment_link(run, self._model_type))


def _asked(call: Callable[[Any], Any]) -> str:
    """Empty when something that knows is away: a task that is done needs no button."""
    from pipeline.bootstrap import TryAgain

    try:
        return str(step(call))
    except (AirflowFailException, TryAgain) as error:
        log.warning("there is no button: %s", error)
        return ""
