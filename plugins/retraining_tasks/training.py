"""The train task: a local child process, or a GPU pod; the same command either way."""

import os
import re
import sys
from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

_GIVE_UP_EXIT_CODE = 1
_OPTIONS = ("backbone", "epochs", "batch_size", "learning_rate", "label_smoothing")


def train_arguments(model_type: str, run_id: str) -> list[str]:
    """Arguments of `python -m pipeline`; parameters left empty in the form are left out."""
    options = "".join(
        f"{{% if params.{name} is not none %}} --{name.replace('_', '-')} {{{{ params.{name} }}}}{{% endif %}}"
        for name in _OPTIONS
    )
    dataset = "{{ ti.xcom_pull(task_ids='collect') }}"
    return ["train", "--model-type", model_type, "--run-id", run_id, "--dataset-id", dataset, options]


def train_task(model_type: str, run_id: str) -> Any:
    """`RETRAIN_TRAINING_RUNTIME=kubernetes` trains in a pod, anything else here."""
    if os.environ.get("RETRAIN_TRAINING_RUNTIME") == "kubernetes":
        from plugins.spot_training.operator import train_in_pod

        return train_in_pod(model_type, run_id)
    from airflow.providers.standard.operators.bash import BashOperator

    return BashOperator(
        task_id="train",
        # exec: a SIGTERM from Airflow reaches the training itself, which then keeps its checkpoint.
        bash_command=f"exec {sys.executable} -m pipeline " + " ".join(train_arguments(model_type, run_id)),
        append_env=True,
        pool="training",
        execution_timeout=timedelta(hours=6),
        retry_policy=ExitCodeRetryPolicy(),
    )


class ExitCodeRetryPolicy(RetryPolicy):
    """The command says with its exit code whether trying again can help (see `pipeline.__main__`)."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        code = re.search(r"exit code (\d+)", str(exception))
        if code and int(code[1]) == _GIVE_UP_EXIT_CODE:
            return RetryDecision.fail("the training gave up: another try would end the same way")
        return RetryDecision.default()
