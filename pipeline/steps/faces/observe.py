"""What people said about the face champion's checks, and about those of the version that a rollback would
bring back.
"""

from pipeline.domain.faces.live import LiveFaceRates, rates_of
from pipeline.domain.faces.watching import FaceObservation, FaceWatchPolicy
from pipeline.domain.history import History
from pipeline.domain.live_accuracy import Period
from pipeline.ports.face_watching import FaceMonitoring


def observe(m: FaceMonitoring, history: History, window: Period, policy: FaceWatchPolicy) -> FaceObservation:
    """The champion's in `window`; the other version's until its reign ended."""
    champion = history.reigns[-1]
    version = champion.version
    return FaceObservation(
        _rates(m, version, window),
        _rates(m, version, policy.recent(window)),
        _before(m, history, policy),
        m.confirmations.newest(version, champion.since, window.until),
    )


def _before(m: FaceMonitoring, history: History, policy: FaceWatchPolicy) -> LiveFaceRates | None:
    target = history.sound_target
    ends = (reign.until for reign in reversed(history.reigns) if reign.version == target)
    ended = next(ends, None)
    return _rates(m, target, policy.last_of(ended)) if target and ended else None


def _rates(m: FaceMonitoring, version: str, period: Period) -> LiveFaceRates:
    return rates_of(version, m.confirmations.tallies(period.since, period.until))
