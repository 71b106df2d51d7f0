"""One look at the champion's live accuracy: read, judge, tell once, decide (specification §9; design D16)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.history import History
from pipeline.domain.live_accuracy import (
    LiveAccuracyPolicy,
    Observation,
    Reading,
    RollbackDecision,
    State,
    Tally,
    decide_rollback,
)
from pipeline.domain.model_events import (
    ConfirmationsStoppedEvent,
    LiveAccuracyLowEvent,
    LiveAccuracyRecoveredEvent,
    OutgoingEvent,
)
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Monitoring
from pipeline.ports.live import Episode, Look


@dataclass(frozen=True)
class Watched:
    """`problem` is what somebody has to mend whatever the reading: a rollback that failed or is incomplete, a registry
    that is behind, or a change of which nobody knows whether it came true. `to_mend` is the same without the reading.
    """

    reading: Reading
    blind: Tally
    decision: RollbackDecision
    problem: str | None = None
    to_mend: str | None = None


def watch(m: Monitoring, model_type: ModelType, policy: LiveAccuracyPolicy) -> Watched | None:
    """None while nothing serves. Rolls nothing back itself: the decision names the version to bring back."""
    now, history = m.clock.now(), m.transitions.ledger(model_type)
    if not history.reigns:
        return None
    champion = history.reigns[-1]
    period = policy.period(champion.since, now)
    seen = Observation(
        champion.version,
        m.metrics.tally(history, champion.version, period),
        m.metrics.newest(history, champion.version, period, policy.min_confirmations),
        m.metrics.blind(history, champion.version, period),
    )
    reading = policy.judge(seen, now)
    decision = decide_rollback(reading, history)
    versions = m.metrics.by_version(history, policy.window(now))
    m.readings.record(Look(model_type, now, seen, reading, versions, decision.reason))
    _tell(m, model_type, reading, decision)
    if (silent_since := policy.silent_since(seen.window, period, now)) is not None:
        _tell_silence(m, model_type, champion.version, silent_since, seen.window.newest or champion.since)
    problems = [*_problems(history), *_forgotten_trial(m, history, now)]
    to_mend = "; ".join(problems) or None
    if reading.state is State.FAILING and not decision.act:
        problems.append(decision.reason)
    return Watched(reading, seen.blind, decision, "; ".join(problems) or None, to_mend)


def _tell(m: Monitoring, model_type: ModelType, reading: Reading, decision: RollbackDecision) -> None:
    """One event when an episode begins, one when low becomes failing and nothing can be done about it, and one when it
    ends, however often anybody looks in between.
    """
    now, episode = m.clock.now(), m.readings.open_episode(model_type)
    if episode is not None and episode.version != reading.version:
        m.readings.end_episode(episode, f"{reading.version} serves now", None, at=now)
        episode = None
    if episode is None and reading.state in {State.LOW, State.FAILING}:
        begun = Episode(f"{model_type}:{reading.version}:{now.isoformat()}", reading.version)
        m.readings.begin_episode(model_type, begun, _low(m, model_type, reading, decision, begun), at=now)
    if episode is not None and reading.state is State.FAILING and not decision.act:
        m.outbox.add(_low(m, model_type, reading, decision, episode))
    if episode is not None and reading.recovered:
        recovered = LiveAccuracyRecoveredEvent.of(
            reading, id=f"live-accuracy-recovered:{episode.id}", model_type=model_type, at=now
        )
        m.readings.end_episode(episode, "recovered", recovered.outgoing(), at=now)


def _tell_silence(m: Monitoring, model_type: ModelType, version: str, since: datetime, last: datetime) -> None:
    """Of the same last confirmation it is the same event; of a champion that has none, of its beginning."""
    stopped = ConfirmationsStoppedEvent(
        id=f"confirmations-stopped:{model_type}:{version}:{last.isoformat()}",
        model_type=model_type,
        model_version=version,
        since=since,
        at=m.clock.now(),
    )
    m.outbox.add(stopped.outgoing())


def _low(
    m: Monitoring, model_type: ModelType, reading: Reading, decision: RollbackDecision, episode: Episode
) -> OutgoingEvent:
    """Of the same episode and state it is the same event."""
    event = LiveAccuracyLowEvent.of(
        reading,
        id=f"live-accuracy-{reading.state}:{episode.id}",
        model_type=model_type,
        consequence=f"The monitor rolls it back to {decision.target}" if decision.act else decision.reason,
        needs_person=reading.state is State.FAILING and not decision.act,
        at=m.clock.now(),
    )
    return event.outgoing()


def _forgotten_trial(m: Monitoring, history: History, now: datetime) -> Iterator[str]:
    trial, since = history.trial, history.trial_since
    if trial is not None and since is not None and now - since > timedelta(hours=m.trial_hours):
        yield f"{trial.version} is on trial since {since:%Y-%m-%d %H:%M} UTC and nobody judges it: abort it"


def _problems(history: History) -> Iterator[str]:
    if (incomplete := history.incomplete) is not None:
        yield f"not every replica came back to {incomplete.act.version}: {incomplete.detail}"
    if history.registry_is_behind:
        yield f"the registry was not seen to name {history.champion}: a new replica may serve another one"
    if (failed := history.failed_rollback) is not None:
        yield f"the rollback to {failed.act.version} failed and was not repeated: {failed.detail}"
    for act in history.unsettled:
        yield f"nobody knows yet what came of {act.version}, asked for by {act.by.actor} ({act.by.reason})"
