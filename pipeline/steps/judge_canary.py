"""One look at a canary: what replicas and people say of it so far (specification §11)."""

from collections.abc import Collection

from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.rollout import CanaryPolicy, CanaryVerdict
from pipeline.domain.transitions import CanaryStart, TrialOf
from pipeline.ports.bundles import Deployment
from pipeline.ports.live import LiveMetrics


def judge_canary(
    d: Deployment, metrics: LiveMetrics, model_type: ModelType, meant: TrialOf, policy: CanaryPolicy
) -> CanaryVerdict:
    """The verdict. Changes nothing, except that a replica that lost the canary gets it back; raises what the fleet
    raised then.
    """
    ledger, now = d.transitions.ledger(model_type), d.clock.now()
    trial, since, version = ledger.trial, ledger.trial_since, meant.version
    if trial is None or since is None or not meant.is_meant(trial):
        return CanaryVerdict("abort", f"{version} is not on trial any more: the champion changed, or somebody ended it")
    seen, period = d.fleet.canaries(model_type), Period(since, now)
    verdict = policy.judge(
        metrics.tally(ledger, version, period),
        metrics.tally(ledger, trial.beside, period),
        [replica for replica in seen if replica.version == version or replica.fault],
        started=since,
        now=now,
    )
    # A replica that restarted, or took part in a promotion that was undone, no longer tries it.
    lost = [replica.replica for replica in seen if not replica.tries(version) and not replica.fault]
    if verdict.decision == "wait" and lost:
        _give_back(d, trial, policy.percent, lost)
    return verdict


def _give_back(d: Deployment, trial: CanaryStart, percent: float, lost: Collection[str]) -> None:
    """Only while it is still on trial: it may have been ended since we looked. And only where it was `lost`: a replica
    that throws it out at this moment must not forget why.
    """
    target = d.versions.get(trial.model_type, trial.version)
    d.fleet.prepare(trial.model_type, trial.version, target.artifact)
    with d.transitions.exclusive(trial.model_type):
        if d.transitions.ledger(trial.model_type).trial == trial:
            d.fleet.give_canary(trial.model_type, trial.version, percent, lost)
        else:
            d.fleet.discard(trial.model_type, trial.version)
