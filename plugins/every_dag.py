"""What holds for every DAG and every task, said once."""

from datetime import datetime, timedelta
from typing import Any

from pipeline.bootstrap import DAGS_OWNER, MODEL_TYPES
from plugins.faults import note_success, tell_failure, tell_overdue

# What does not happen while a DAG is paused. Each is live as soon as it exists: what a person triggers, or the monitor,
# would otherwise wait in a queue that nobody looks at.
ALWAYS_ON = {
    "task_confirmed_intake": "No confirmation is taken in, and nothing becomes due for retraining; messages wait",
    **{
        f"{kind.lower()}_model_retraining": f"No {kind} model is trained, neither at night nor when corrections make "
        "one due"
        for kind in MODEL_TYPES
    },
    "face_model_retraining": "No FACE model is retrained, however many corrections wait",
    "live_accuracy_monitor": "Nobody looks how often the champion is right, and no bad one is taken down",
    "model_rollback": "No rollback happens, neither a person's nor the monitor's",
    "model_promotion": "No version goes live by hand: whoever triggers a promotion waits without end",
    "model_decision": "No decision of a person about a canary, a freeze, a held model or a dead letter is carried out",
    "model_retention": "Old versions' files stay where they are",
    "backup": "No copy of the databases is made: a restore takes longer with every day",
    "restore_test": "Nobody tries whether the backups are any good",
}


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
        "owner": DAGS_OWNER,
        "retries": retries,
        "retry_delay": retry_delay,
        "execution_timeout": longest_try,
        "on_failure_callback": tell_failure,
        "on_success_callback": note_success,
        **more,
    }
