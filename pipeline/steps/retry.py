"""Once more with other hyperparameters, when verification says that they may help (specification, messages 27-30)."""

from dataclasses import asdict
from typing import Any

from pipeline.domain.advice import advise
from pipeline.domain.blessing import Verdict
from pipeline.domain.training import MAX_ATTEMPTS
from pipeline.ports.training import TrainingRuns
from pipeline.ports.verification import Blessings

PREFIX = "retry-of-"


def retry(run_id: str, *, blessings: Blessings, runs: TrainingRuns) -> dict[str, Any] | None:
    """`run_id` of the next run, its `reason`, the `dataset_id` it learns from again, and the `hyperparameters` that
    advice changes; whatever else was asked for stays as it was.

    None unless the run was refused, advice names hyperparameters, and attempts are left: the same dataset is tried
    three times at most.
    """
    blessing, result = blessings.of_run(run_id), runs.result(run_id)
    if blessing is None or result is None or blessing.verdict is not Verdict.REJECT or blessing.override:
        return None
    advice = advise(result, blessing.checks)
    if advice.hyperparameters is None or run_id.count(PREFIX) >= MAX_ATTEMPTS - 1:
        return None
    before, after = asdict(result.hyperparameters), asdict(advice.hyperparameters)
    changed = {name: value for name, value in after.items() if value != before[name]}
    reason = f"{run_id} was refused: {advice.change}"
    following = f"{PREFIX}{run_id}"
    return {"run_id": following, "reason": reason, "dataset_id": result.dataset_id, "hyperparameters": changed}
