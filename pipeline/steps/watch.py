"""One look at the champion's live accuracy: read, judge, tell once, decide (specification §9; design D16)."""

from dataclasses import dataclass

from pipeline.domain.live_accuracy import (
    LiveAccuracyPolicy,
    Observation,
    Reading,
    RollbackDecision,
    State,
    Tally,
    decide_rollback,
)
from pipeline.domain.live_events import live_accuracy_low, live_accuracy_recovered
from pipeline.domain.models import NOTES, ROLLBACKS, ModelType, Status
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import ModelVersions, Transitions
from pipeline.ports.live import Episode, LiveMetrics, LiveReadings


@dataclass(frozen=True)
class Watched:
    """`problem` is what somebody has to mend whatever the reading: a rollback that failed."""

    reading: Reading
    blind: Tally
    decision: RollbackDecision
    problem: str | None = None


def watch(
    model_type: ModelType,
    *,
    policy: LiveAccuracyPolicy,
    transitions: Transitions,
    versions: ModelVersions,
    metrics: LiveMetrics,
    readings: LiveReadings,
    clock: Clock,
) -> Watched | None:
    """None while nothing serves. Acts on nothing itself: the decision names the version to bring back."""
    now, facts = clock.now(), transitions.facts(model_type)
    served = [fact for fact in facts if fact.kind not in NOTES]
    if not served:
        return None
    champion = served[-1]
    assert champion.confirmed_served_at is not None
    since, until = policy.period(champion.confirmed_served_at, now)
    seen = Observation(
        champion.to_version,
        metrics.tally(model_type, champion.to_version, since=since, until=until),
        metrics.newest(model_type, champion.to_version, policy.min_confirmations, since=since, until=until),
        metrics.blind(model_type, champion.to_version, since=since, until=until),
    )
    reading = policy.judge(seen, now)
    archived = {v.version for v in versions.all(model_type) if v.status is Status.ARCHIVED}
    decision = decide_rollback(reading, facts, served, archived)
    readings.record(
        model_type,
        reading,
        seen,
        versions=metrics.by_version(model_type, since=policy.window_start(now), until=until),
        decision=decision.reason,
        at=now,
    )
    _tell(model_type, reading, decision, readings, clock)
    return Watched(reading, seen.blind, decision, _problem(model_type, transitions))


def _tell(
    model_type: ModelType, reading: Reading, decision: RollbackDecision, readings: LiveReadings, clock: Clock
) -> None:
    """One event when an episode begins and one when it ends, however often anybody looks in between."""
    now, episode = clock.now(), readings.open_episode(model_type)
    if episode is not None and episode.version != reading.version:
        readings.end_episode(episode, f"{reading.version} serves now", None, at=now)
        episode = None
    if episode is None and reading.state in {State.LOW, State.FAILING}:
        begun = Episode(f"{model_type}:{reading.version}:{now.isoformat()}", reading.version)
        event = live_accuracy_low(
            event_id=f"live-accuracy-low:{begun.id}",
            reading=reading,
            model_type=model_type,
            consequence=f"It is rolled back to {decision.target}" if decision.act else decision.reason,
            at=now,
        )
        readings.begin_episode(model_type, begun, event, at=now)
    if episode is not None and reading.recovered:
        event = live_accuracy_recovered(
            event_id=f"live-accuracy-recovered:{episode.id}", reading=reading, model_type=model_type, at=now
        )
        readings.end_episode(episode, "recovered", event, at=now)


def _problem(model_type: ModelType, transitions: Transitions) -> str | None:
    failure = transitions.latest_failure(model_type)
    if failure is None or failure.transition.kind not in ROLLBACKS:
        return None
    return f"the rollback to {failure.transition.to_version} failed and was not repeated: {failure.reason}"
