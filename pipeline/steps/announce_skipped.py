"""Tell people why a nightly run had nothing to do."""

from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import RetrainingSkippedEvent
from pipeline.ports.bundles import Scheduling
from pipeline.steps.publish import publish_soon


def announce_skipped(scheduling: Scheduling, run_id: str, model_type: ModelType, reason: str) -> None:
    """The same run tells it once, however often this is called."""
    at = scheduling.clock.now()
    skipped = RetrainingSkippedEvent(id=f"skipped:{run_id}", run_id=run_id, model_type=model_type, reason=reason, at=at)
    scheduling.outbox.add(skipped.outgoing())
    publish_soon(outbox=scheduling.outbox, publisher=scheduling.publisher)
