"""Claim a model type for one retraining, when one is due."""

from dataclasses import dataclass

from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Scheduling
from pipeline.steps.consider import consider


@dataclass(frozen=True)
class Begun:
    """Whether the run goes on; `rule` names what decided, `reason` is the sentence people read."""

    due: bool
    rule: str
    reason: str
    decision_id: str


def begin_run(
    scheduling: Scheduling, run_id: str, model_type: ModelType, *, asked_by: str, forced_by: str | None = None
) -> Begun:
    """A run that holds the claim goes on with it, whatever the policy says by now."""
    if scheduling.runs.holds(run_id):
        return Begun(True, "claimed", f"{run_id} goes on", run_id)
    decision_id, decision = consider(scheduling, model_type, asked_by=asked_by, forced_by=forced_by)
    now = scheduling.clock.now()
    if decision.due and not scheduling.runs.begin(run_id, model_type, at=now):
        return Begun(False, "running", "another retraining claimed the model type", decision_id)
    return Begun(decision.due, decision.rule, decision.reason, decision_id)
