"""One look at the champion's live accuracy: read, judge, tell once, decide (specification §9; design D16)."""

from dataclasses import dataclass

from pipeline.domain.live_accuracy import LiveAccuracyPolicy, Reading, RollbackDecision, Tally, decide_rollback
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import LiveAccuracyLowEvent, LiveAccuracyRecoveredEvent, OutgoingEvent
from pipeline.ports.bundles import Monitoring
from pipeline.ports.live import Episode, Look
from pipeline.steps.observe import each_version, last_word, observe
from pipeline.steps.tell_look import Telling, tell_look, tell_silence
from pipeline.steps.to_mend import to_mend


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
    seen = observe(m, history, period, policy.min_confirmations)
    reading = policy.judge(seen, now)
    decision = decide_rollback(reading, history)
    versions = each_version(m, history, policy, now)
    m.readings.record(Look(model_type, now, seen, reading, versions, decision.reason))
    telling = _telling(m, model_type, reading, decision)
    tell_look(telling, reading, decision)
    newest = seen.window.newest or last_word(m, history, period.until)
    if (silent_since := policy.silent_since(newest, champion.since, now)) is not None:
        tell_silence(telling, champion.version, silent_since)
    problems = to_mend(history, now, m.trial_hours)
    said = [decision.reason] if reading.failing and not decision.act else []
    return Watched(reading, seen.blind, decision, "; ".join([*problems, *said]) or None, "; ".join(problems) or None)


def _telling(m: Monitoring, model_type: ModelType, reading: Reading, decision: RollbackDecision) -> Telling:
    now = m.clock.now()

    def low(episode: Episode) -> OutgoingEvent:
        return LiveAccuracyLowEvent.of(
            reading,
            id=f"live-accuracy-{reading.state}:{episode.id}",
            model_type=model_type,
            consequence=decision.consequence,
            needs_person=reading.failing and not decision.act,
            at=now,
        ).outgoing()

    def recovered(episode: Episode) -> OutgoingEvent:
        event_id = f"live-accuracy-recovered:{episode.id}"
        return LiveAccuracyRecoveredEvent.of(reading, id=event_id, model_type=model_type, at=now).outgoing()

    return Telling(model_type, now, m.readings, m.outbox, low, recovered)
