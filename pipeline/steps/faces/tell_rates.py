"""What people are told of a look at a face champion, and of silence about it."""

from pipeline.domain.faces.watching import FaceReading
from pipeline.domain.live_accuracy import RollbackDecision
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import FaceRatesHighEvent, FaceRatesRecoveredEvent, OutgoingEvent
from pipeline.ports.face_watching import FaceMonitoring
from pipeline.ports.live import Episode
from pipeline.steps.tell_look import Telling

FACE = ModelType.FACE


def telling(m: FaceMonitoring, reading: FaceReading, decision: RollbackDecision) -> Telling:
    now = m.clock.now()

    def high(episode: Episode) -> OutgoingEvent:
        return FaceRatesHighEvent.of(
            reading,
            id=f"face-rates-{reading.state}:{episode.id}",
            model_type=FACE,
            consequence=decision.consequence,
            needs_person=reading.failing and not decision.act,
            at=now,
        ).outgoing()

    def recovered(episode: Episode) -> OutgoingEvent:
        event_id = f"face-rates-recovered:{episode.id}"
        return FaceRatesRecoveredEvent.of(reading, id=event_id, model_type=FACE, at=now).outgoing()

    return Telling(FACE, now, m.episodes, m.outbox, high, recovered)
