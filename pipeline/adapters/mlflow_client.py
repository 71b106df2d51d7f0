"""A client of MLflow whose errors say what to do: wait for it, bring back what was deleted, or mend the request."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.domain.errors import (
    ExperimentDeleted,
    ExperimentRunDeleted,
    GiveUp,
    ServiceRefused,
    ServiceUnavailable,
    TryAgain,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

log = logging.getLogger(__name__)

_LONGEST_REASON = 500
# Read when MLflow is imported. Its telemetry would tell its makers of every use, from a thread that changes this
# process's environment while others read it.
_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
# May pass, like every 5xx: too many requests, a timeout, and somebody else having been a moment faster.
_PASSING_STATUS = {408, 409, 429, 499}
_PASSING_CODES = {"RESOURCE_ALREADY_EXISTS"}
_LASTING_CODES = {"INVALID_STATE", "NOT_IMPLEMENTED", "DATA_LOSS"}


class Mlflow:
    """Made on first use: importing MLflow takes seconds. `link_url` is its address for people, if that is another."""

    def __init__(self, url: str, link_url: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.link_url = (link_url or url).rstrip("/")
        self._made: MlflowClient | None = None
        for name, value in _VARIABLES.items():
            os.environ.setdefault(name, value)

    @property
    def client(self) -> "MlflowClient":
        if self._made is None:
            from mlflow import MlflowClient

            self._made = MlflowClient(tracking_uri=self.url, registry_uri=self.url)
        return self._made

    @contextmanager
    def translated(self, run_id: str | None = None) -> Iterator[None]:
        """Raises `ServiceUnavailable`, `ServiceRefused`, or `ExperimentRunDeleted` when `run_id` was deleted."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            reason = " ".join(str(error).split())[:_LONGEST_REASON]
            if _passes(error):
                raise ServiceUnavailable("MLflow", reason) from error
            if run_id is not None and self.deleted(run_id):
                raise ExperimentRunDeleted(
                    f"run {run_id} was deleted in MLflow: bring it back (mlflow runs restore --run-id {run_id}), or "
                    "start anew under another run id"
                ) from error
            raise ServiceRefused("MLflow", reason) from error

    def deleted(self, run_id: str) -> bool:
        """Whether a person deleted the run, or its experiment, of which nothing is left to ask."""
        from mlflow.entities import LifecycleStage
        from mlflow.exceptions import MlflowException

        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage == LifecycleStage.DELETED)
        except MlflowException as error:
            return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")

    def experiment(self, name: str) -> str:
        """The experiment's id; it is created when there is none. Raises `ExperimentDeleted`."""
        from mlflow.entities import LifecycleStage

        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name))
        if found.lifecycle_stage == LifecycleStage.DELETED:
            raise ExperimentDeleted(
                f"experiment {name!r} was deleted in MLflow, and its name is taken as long: bring it back "
                f"(mlflow experiments restore --experiment-id {found.experiment_id})"
            )
        return str(found.experiment_id)


@contextmanager
def beside_an_error() -> Iterator[None]:
    """For calls to MLflow by which a run only ends: people have to read how it ended, not MLflow's error."""
    try:
        yield
    except (GiveUp, TryAgain) as error:
        log.warning("MLflow does not know how the run ended: %s", error)


def _passes(error: "MlflowException | OSError") -> bool:
    """Whether the same request may succeed later. Files are sent with another client than the rest."""
    if isinstance(error, OSError):
        response = getattr(error, "response", None)
        return response is None or _is_passing(response.status_code)
    if error.error_code in _LASTING_CODES:
        return False
    return error.error_code in _PASSING_CODES or _is_passing(error.get_http_status_code())


def _is_passing(status: int) -> bool:
    return status >= 500 or status in _PASSING_STATUS
