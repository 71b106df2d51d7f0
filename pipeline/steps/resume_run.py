"""Let a run go on that had ended: a person approved a held model, or cleared a task."""

from pipeline.domain.errors import RunBusy
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Scheduling
from pipeline.steps.release_dead_claim import release_dead_claim


def resume_run(scheduling: Scheduling, run_id: str, model_type: ModelType) -> None:
    """It claims its model type again, so that nothing is trained beside it and its end is kept anew.

    Raises `RunBusy` while another run has the claim.
    """
    release_dead_claim(scheduling, model_type)
    if not scheduling.runs.begin(run_id, model_type, at=scheduling.clock.now()):
        holder = scheduling.runs.claim(model_type)
        raise RunBusy(f"{holder or f'another {model_type} retraining is running'}: clear this task when it has ended")
