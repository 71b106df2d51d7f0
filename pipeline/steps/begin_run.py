"""Claim a model type for one retraining, when one is due."""

from dataclasses import dataclass, replace

from pipeline.domain.models import ModelType
from pipeline.domain.retraining import Asker, RunOutcome
from pipeline.ports.bundles import Scheduling
from pipeline.steps.consider import consider
from pipeline.steps.release_dead_claim import release_dead_claim

_GOES_ON = frozenset({RunOutcome.HELD, RunOutcome.FAILED})


@dataclass(frozen=True)
class Begun:
    """Whether the run goes on; `rule` names what decided, `reason` is the sentence people read."""

    due: bool
    rule: str
    reason: str
    decision_id: str


def begin_run(scheduling: Scheduling, run_id: str, model_type: ModelType, asker: Asker) -> Begun:
    """A run that holds the claim goes on with it, whatever the policy says by now, if it is asked for where it was
    begun; so does one that has ended although its model may go live.
    """
    claim = scheduling.runs.claim(model_type)
    # One that Airflow works at is not begun beside it by hand, nor the other way round.
    if claim is not None and claim.run_id == run_id and claim.by in ("", asker.by):
        return Begun(True, "claimed", f"{run_id} goes on", run_id)
    ended = scheduling.runs.outcome(run_id)
    if ended in _GOES_ON and _may_go_live(scheduling, run_id):
        begun = Begun(True, "approved", f"the model of {run_id} may go live", run_id)
        release_dead_claim(scheduling, model_type, asker.idle)
        return begun if _claims(scheduling, run_id, model_type, asker) else _beside(scheduling, model_type, run_id)
    if ended is not None:
        # Only a person may begin an ended run again.
        asker = replace(asker, by_hand=True)
    decision_id, decision = consider(scheduling, model_type, asker)
    if decision.due and not _claims(scheduling, run_id, model_type, asker):
        return _beside(scheduling, model_type, decision_id)
    return Begun(decision.due, decision.rule, decision.reason, decision_id)


def _may_go_live(scheduling: Scheduling, run_id: str) -> bool:
    """Whether the run's model may go live, by its verdict or a person's approval: its corrections are used up
    by then.
    """
    verdict = scheduling.blessings.of_run(run_id)
    return verdict is not None and verdict.approved


def _claims(scheduling: Scheduling, run_id: str, model_type: ModelType, asker: Asker) -> bool:
    return scheduling.runs.begin(run_id, model_type, at=scheduling.clock.now(), by=asker.by)


def _beside(scheduling: Scheduling, model_type: ModelType, decision_id: str) -> Begun:
    claim = scheduling.runs.claim(model_type)
    return Begun(False, "running", str(claim or "another retraining claimed the model type"), decision_id)
