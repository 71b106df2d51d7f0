"""What people see of the canary on trial: the verdict that its monitor would give now, and what it rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.live_accuracy import Period, Tally
from pipeline.domain.models import ModelType
from pipeline.domain.rollout import CanaryPolicy, CanarySeen, CanaryVerdict
from pipeline.domain.transitions import CanaryStart
from pipeline.ports.bundles import Overseeing


@dataclass(frozen=True)
class TrialSeen:
    """A trial that runs since `since`; `canary` and `stable` are people's confirmations of both since then."""

    trial: CanaryStart
    since: datetime
    seen: Sequence[CanarySeen]
    canary: Tally
    stable: Tally
    verdict: CanaryVerdict


def oversee_canary(o: Overseeing, model_type: ModelType, policy: CanaryPolicy) -> TrialSeen | None:
    """None when nothing is on trial. Unlike `judge_canary` it brings no share back to a replica that lost it."""
    ledger, now = o.transitions.ledger(model_type), o.clock.now()
    trial, since = ledger.trial, ledger.trial_since
    if trial is None or since is None:
        return None
    period, seen = Period(since, now), o.fleet.canaries(model_type)
    canary, stable = (o.metrics.tally(ledger, version, period) for version in (trial.version, trial.beside))
    about = [replica for replica in seen if replica.version == trial.version or replica.fault]
    return TrialSeen(trial, since, seen, canary, stable, policy.judge(canary, stable, about, started=since, now=now))
