"""The train task: a local child process, or a GPU pod; the same command either way."""

import os
import re
import sys
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException

from plugins.retraining_tasks import step
from plugins.retraining_tasks.memory import memory_is_to_blame, oom_kills

_GIVE_UP_EXIT_CODE = 1
_EXIT_CODE = re.compile(r"exit code (-?\d+)")
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
    return LocalTraining(
        task_id="train",
        # exec: a SIGTERM from Airflow reaches the training itself, which then keeps its checkpoint.
        bash_command=f"exec {sys.executable} -m pipeline " + " ".join(train_arguments(model_type, run_id)),
        append_env=True,
        pool="training",
        execution_timeout=timedelta(hours=6),
        retry_policy=ExitCodeRetryPolicy(),
    )


class LocalTraining(BashOperator):
    """A child killed for its memory cannot say so: it is recorded here, and the next try asks for less."""

    def execute(self, context: Any) -> Any:
        before = oom_kills()
        try:
            return super().execute(context)
        except AirflowException as error:
            code = _EXIT_CODE.search(str(error))
            if code and memory_is_to_blame(int(code[1]), before, oom_kills()):
                blame_memory(self.bash_command.split(), "the kernel killed the training for its memory")
            raise


def blame_memory(arguments: list[str], detail: str) -> None:
    """Let the next try of the training with these arguments adjust to what happened."""
    run_id, dataset_id = (arguments[arguments.index(name) + 1] for name in ("--run-id", "--dataset-id"))
    change = step(lambda p: p.blame_memory(run_id, dataset_id, detail))
    print(f"{detail}; next: {change or 'nothing, no attempt was running'}")


class ExitCodeRetryPolicy(RetryPolicy):
    """The command says with its exit code whether trying again can help (see `pipeline.__main__`)."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        code = _EXIT_CODE.search(str(exception))
        if code and int(code[1]) == _GIVE_UP_EXIT_CODE:
            return RetryDecision.fail("the training gave up: another try would end the same way")
        return RetryDecision.default()
