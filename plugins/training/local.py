"""The train task as a child process of the worker."""

import re
import sys
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException

from plugins.outside.pipeline import variables_beside
from plugins.places import GPU
from plugins.training.command import GAVE_UP, blame_memory, train_arguments
from plugins.training.memory import memory_is_to_blame, oom_kills

_GIVE_UP_EXIT_CODE = 1
_EXIT_CODE = re.compile(r"exit code (-?\d+)")


def train_here(model_type: str, run_id: str) -> "LocalTraining":
    return LocalTraining(
        task_id="train",
        # exec: a SIGTERM from Airflow reaches the training itself, which then keeps its checkpoint.
        bash_command=f"exec {sys.executable} -m pipeline " + " ".join(train_arguments(model_type, run_id)),
        append_env=True,
        pool="training",
        queue=GPU,
        execution_timeout=timedelta(hours=6),
        retry_policy=ExitCodeRetryPolicy(),
    )


class LocalTraining(BashOperator):
    """A child killed for its memory cannot say so: it is recorded here, and the next try asks for less."""

    def get_env(self, context: Any) -> dict[str, str]:
        """What only Airflow knows travels to the child, and is never shown as the field `env` is."""
        return {**super().get_env(context), **variables_beside()}

    def execute(self, context: Any) -> Any:
        before = oom_kills()
        try:
            return super().execute(context)
        except AirflowException as error:
            code = _EXIT_CODE.search(str(error))
            if code and memory_is_to_blame(int(code[1]), before, oom_kills()):
                blame_memory(self.bash_command.split(), "the kernel killed the training for its memory")
            raise


class ExitCodeRetryPolicy(RetryPolicy):
    """The command says with its exit code whether trying again can help (see `pipeline.__main__`)."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        code = _EXIT_CODE.search(str(exception))
        if code and int(code[1]) == _GIVE_UP_EXIT_CODE:
            return RetryDecision.fail(GAVE_UP)
        return RetryDecision.default()
