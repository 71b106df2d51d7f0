"""One look at a canary: what replicas and people say of it so far (specification §11)."""

from pipeline.domain.models import ModelType, on_trial
from pipeline.domain.rollout import CanaryPolicy, CanaryVerdict
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import ModelVersions, ServingFleet, Transitions
from pipeline.ports.live import LiveMetrics


def judge_canary(
    model_type: ModelType,
    version: str,
    *,
    policy: CanaryPolicy,
    versions: ModelVersions,
    transitions: Transitions,
    metrics: LiveMetrics,
    fleet: ServingFleet,
    clock: Clock,
) -> CanaryVerdict:
    """Changes nothing, but gives a restarted replica its share back. Raises what the fleet raised."""
    trial = on_trial(transitions.facts(model_type))
    if trial is None or trial.to_version != version:
        return CanaryVerdict("abort", f"{version} is not on trial any more: the champion changed, or somebody ended it")
    assert trial.confirmed_served_at is not None and trial.from_version is not None
    seen = fleet.canaries(model_type)
    now, since = clock.now(), trial.confirmed_served_at
    verdict = policy.judge(
        metrics.tally(model_type, version, since=since, until=now),
        metrics.tally(model_type, trial.from_version, since=since, until=now),
        [replica for replica in seen if replica.version == version],
        started=since,
        now=now,
    )
    if verdict.decision == "wait" and any(replica.version != version for replica in seen):
        artifact = versions.get(model_type, version).artifact
        fleet.start_canary(model_type, version, artifact, policy.percent)
    return verdict
