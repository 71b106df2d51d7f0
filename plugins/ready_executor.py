"""Airflow's local executor, started when the scheduler has imported what a rollback runs.

A task is a fork of a worker, which is a fork of the scheduler: what that has imported, no task imports again. For a
rollback this was most of the time from the click on.
"""

import logging
import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from airflow.executors.local_executor import LocalExecutor

log = logging.getLogger(__name__)
# Modules alone. No connection and no thread may be there when a process is forked; gRPC's are not even imported.
_NEEDED = (
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.sdk.plugins_manager",
    "airflow.version",
    "airflow.dag_processing.dagbag",
    "dags.model_rollback",
    "pipeline.adapters.blessing_table",
    "pipeline.adapters.clock",
    "pipeline.adapters.mlflow_registry",
    "pipeline.adapters.mlops_db",
    "pipeline.adapters.outbox_table",
    "pipeline.adapters.s3",
    "pipeline.adapters.transition_log",
    "pipeline.adapters.trouble_table",
    "pipeline.adapters.version_table",
)


class ReadyLocalExecutor(LocalExecutor):
    """Chosen by `AIRFLOW__CORE__EXECUTOR`; without `AIRFLOW__CORE__MP_START_METHOD=fork` it is as Airflow's own."""

    def start(self) -> None:
        """The workers are forked here."""
        get_ready()
        super().start()


def get_ready(needed: Sequence[str] = _NEEDED) -> None:
    """Imports ahead. A failing import does not keep the scheduler from starting: the task itself will report it."""
    for name in needed:
        try:
            import_module(name)
        except Exception as error:  # noqa: BLE001 - a DAG file that is being edited may raise anything
            log.warning("tasks import %s themselves, it could not be done before: %s", name, error)


class BesideSchedulerExecutor(ReadyLocalExecutor):
    """Where most tasks run on workers: for rollbacks, the whole monitor, and backups.

    Its slots are those of the pools that these are in, and one to spare; the setting counts the workers' slots, too.
    Without workers nothing new comes here, only what is left from a time with them.
    """

    slots, slots_for_what_is_left = 9, 2

    def __init__(self, *about: Any, **more: Any) -> None:
        super().__init__(*about, **more)
        with_workers = os.environ.get("RETRAIN_EXECUTOR") == "celery"
        self.parallelism = self.slots if with_workers else self.slots_for_what_is_left
