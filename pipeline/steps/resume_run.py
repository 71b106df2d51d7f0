"""Let a run go on that had ended: a person approved a held model, or cleared a task."""

from pipeline.domain.errors import RunBusy
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Scheduling
from pipeline.steps.release_dead_claim import release_dead_claim


def resume_run(scheduling: Scheduling, run_id: str, model_type: ModelType) -> None:
    """It claims its model type again, so that nothing is trained beside it and its end is kept anew.

    Raises `RunBusy` while another run has the claim, or a process by hand works at this one.
    """
    release_dead_claim(scheduling, model_type)
    claim = scheduling.runs.claim(model_type)
    # Only a process by hand says that it lives.
    if claim is not None and claim.run_id == run_id and claim.seen_at is not None:
        raise RunBusy(f"somebody goes on with it by hand, {claim}: clear this task when that has ended")
    if not scheduling.runs.begin(run_id, model_type, at=scheduling.clock.now()):
        holder = scheduling.runs.claim(model_type)
        raise RunBusy(f"{holder or f'another {model_type} retraining is running'}: clear this task when it has ended")
