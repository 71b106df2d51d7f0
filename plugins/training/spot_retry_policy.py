"""What a failed training pod means: the node went away, the training gave up, or something else broke."""

from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from plugins.training.command import GAVE_UP

# As Kubernetes names them in the pod's conditions and reasons, and the provider in its exceptions.
_NODE_WENT_AWAY = ("DisruptionTarget", "PodNotFound", "Preempt", "Evicted", "NodeShutdown", "NodeLost")
# `python -m pipeline` writes this line and exits with 1 when the same command would end the same way; it comes back in
# the pod's termination message. An exit code alone would not do: a Python traceback ends with 1 as well.
_REFUSED = "refused: "
_NEW_NODE = timedelta(minutes=2)


class SpotRetryPolicy(RetryPolicy):
    """A lost node costs one of the task's retries and two minutes; the next pod resumes from the checkpoint."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        text = f"{type(exception).__name__} {exception}"
        if any(sign in text for sign in _NODE_WENT_AWAY):
            return RetryDecision.retry(_NEW_NODE, "the spot node went away: training resumes on another one")
        if _REFUSED in text:
            return RetryDecision.fail(GAVE_UP)
        return RetryDecision.default()
