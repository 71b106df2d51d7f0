"""Release a claim whose run is dead."""

from pipeline.domain.models import ModelType
from pipeline.domain.retraining import Claim
from pipeline.ports.bundles import Scheduling


def release_dead_claim(scheduling: Scheduling, model_type: ModelType, idle: str | None = None) -> Claim | None:
    """The claim that still stands, if any. No run that `idle` began is alive."""
    now = scheduling.clock.now()
    claim = scheduling.runs.claim(model_type)
    if claim is None or (why := claim.over(now, idle)) is None:
        return claim
    scheduling.runs.end(claim.run_id, at=now, outcome=why)
    return release_dead_claim(scheduling, model_type, idle)
