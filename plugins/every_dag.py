"""What holds for every DAG and every task, said once."""

from datetime import datetime, timedelta
from typing import Any

from plugins.faults import note_success, tell_failure, tell_overdue


def every_dag(*, longest: timedelta) -> dict[str, Any]:
    """Arguments for `DAG`: it is paused neither at first nor after failures, and ends a run after `longest`."""
    return {
        "start_date": datetime(2026, 1, 1),
        "catchup": False,
        "is_paused_upon_creation": False,
        # Airflow's configuration may say otherwise; a DAG that pauses itself stops the loop for good.
        "max_consecutive_failed_dag_runs": 0,
        "dagrun_timeout": longest,
        "on_failure_callback": tell_overdue,
    }


def every_task(*, retries: int, retry_delay: timedelta, longest_try: timedelta, **more: Any) -> dict[str, Any]:
    """For `default_args`: each try has a time limit, and people hear of a failure and of the success after it."""
    return {
        "owner": "mlops",
        "retries": retries,
        "retry_delay": retry_delay,
        "execution_timeout": longest_try,
        "on_failure_callback": tell_failure,
        "on_success_callback": note_success,
        **more,
    }
