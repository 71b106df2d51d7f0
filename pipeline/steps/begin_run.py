"""Claim a model type for one retraining, when one is due."""

from dataclasses import dataclass, replace

from pipeline.domain.models import ModelType
from pipeline.domain.retraining import Asker
from pipeline.ports.bundles import Scheduling
from pipeline.steps.consider import consider


@dataclass(frozen=True)
class Begun:
    """Whether the run goes on; `rule` names what decided, `reason` is the sentence people read."""

    due: bool
    rule: str
    reason: str
    decision_id: str


def begin_run(scheduling: Scheduling, run_id: str, model_type: ModelType, asker: Asker) -> Begun:
    """A run that holds the claim goes on with it, whatever the policy says by now."""
    if scheduling.runs.holds(run_id):
        return Begun(True, "claimed", f"{run_id} goes on", run_id)
    if scheduling.runs.outcome(run_id) is not None:
        # Nobody but a person begins a run again that has ended.
        asker = replace(asker, by_hand=True)
    decision_id, decision = consider(scheduling, model_type, asker)
    now = scheduling.clock.now()
    if decision.due and not scheduling.runs.begin(run_id, model_type, at=now, by=asker.by):
        claim = scheduling.runs.claim(model_type)
        return Begun(False, "running", str(claim or "another retraining claimed the model type"), decision_id)
    return Begun(decision.due, decision.rule, decision.reason, decision_id)
