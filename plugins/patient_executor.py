"""Airflow's Celery executor, which tries again to send what RabbitMQ could not take.

Airflow's own takes such a task for failed: with RabbitMQ away for a minute every task would use up its tries.
"""

from collections.abc import Sequence
from typing import Any

from airflow.providers.celery.executors.celery_executor import CeleryExecutor
from airflow.providers.celery.executors.celery_executor_utils import ExceptionWithTraceback
from airflow.providers.common.compat.sdk import AirflowTaskTimeout
from kombu.exceptions import OperationalError


class PatientCeleryExecutor(CeleryExecutor):
    """Chosen by `AIRFLOW__CORE__EXECUTOR`; a task that could not be sent is sent again at the next heartbeat."""

    def __init__(self, *about: Any, **more: Any) -> None:
        super().__init__(*about, **more)
        # The scheduler itself says when a task was queued for too long.
        self.workload_publish_max_retries = 1_000_000

    def _send_workloads_to_celery(self, workload_tuples_to_send: Sequence[Any]) -> Any:
        sent = super()._send_workloads_to_celery(workload_tuples_to_send)
        return [(key, workload, _worth_a_try(result)) for key, workload, result in sent]


def _worth_a_try(result: Any) -> Any:
    """Airflow's own executor repeats only timeouts; that RabbitMQ is away is worth another try as well."""
    if isinstance(result, ExceptionWithTraceback) and isinstance(result.exception, OperationalError | OSError):
        return ExceptionWithTraceback(AirflowTaskTimeout(str(result.exception)), result.traceback)
    return result
