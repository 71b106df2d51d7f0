"""One look at how often the face champion is wrong at the doors: read, judge, tell once, decide (UC-23)."""

from dataclasses import dataclass

from pipeline.domain.faces.looks import FaceLook
from pipeline.domain.faces.watching import FaceReading, FaceWatchPolicy
from pipeline.domain.live_accuracy import RollbackDecision, decide_rollback
from pipeline.ports.face_watching import FaceMonitoring
from pipeline.steps.faces.observe import observe
from pipeline.steps.faces.tell_rates import FACE, telling
from pipeline.steps.tell_look import tell_look, tell_silence
from pipeline.steps.to_mend import to_mend


@dataclass(frozen=True)
class WatchedFaces:
    """As `Watched`."""

    reading: FaceReading
    decision: RollbackDecision
    problem: str | None = None
    to_mend: str | None = None


def watch_faces(m: FaceMonitoring, policy: FaceWatchPolicy) -> WatchedFaces | None:
    """None while nothing serves. Rolls nothing back itself: the decision names the version to bring back."""
    now, history = m.clock.now(), m.transitions.ledger(FACE)
    if not history.reigns:
        return None
    champion = history.reigns[-1]
    window = policy.window(champion.since, now)
    seen = observe(m, history, window, policy)
    reading = policy.judge(seen, now)
    decision = decide_rollback(reading, history)
    m.looks.record(FaceLook.of(reading, now, decision.reason))
    told = telling(m, reading, decision)
    tell_look(told, reading, decision)
    if (silent_since := policy.silent_since(seen.newest, champion.since, now)) is not None:
        tell_silence(told, champion.version, silent_since)
    problems = to_mend(history, now, m.trial_hours)
    said = [decision.reason] if reading.failing and not decision.act else []
    return WatchedFaces(reading, decision, "; ".join([*problems, *said]) or None, "; ".join(problems) or None)
