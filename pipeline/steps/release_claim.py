"""A person frees a model type for the next retraining, because the run that claims it is dead."""

from pipeline.domain.errors import GiveUp
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Scheduling


def release_claim(scheduling: Scheduling, run_id: str, *, actor: str, reason: str) -> str:
    """How the run ended, as it is kept. Nothing stops a run that is alive after all."""
    By(actor, reason, run_id).demand_a_name("releasing a claim")
    if not scheduling.runs.holds(run_id):
        raise GiveUp(f"{run_id[:80]} holds no claim: page Models says which run does, if any")
    outcome = f"released by {actor}: {reason}"
    scheduling.runs.end(run_id, at=scheduling.clock.now(), outcome=outcome)
    return outcome
