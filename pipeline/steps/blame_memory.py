"""Record that the kernel killed a training because of memory, which the training itself could not."""

from dataclasses import replace

from pipeline.domain.training import RUNNING, Attempt, adjust
from pipeline.ports.training import TrainingRuns


def blame_memory(run_id: str, dataset_id: str, detail: str, *, runs: TrainingRuns) -> Attempt | None:
    """The attempt that was running, now failed as `out_of_memory`; None when none was running. The next attempt adjusts
    to it.
    """
    tried = runs.attempts(run_id)
    if not tried or tried[-1].cause != RUNNING:
        return None
    change = adjust(tried[-1].hyperparameters, "out_of_memory", tried[-1].number).change
    ended = replace(tried[-1], cause="out_of_memory", detail=detail, change=change)
    runs.record(run_id, dataset_id, ended)
    return ended
