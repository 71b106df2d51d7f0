"""Tell people why a nightly run had nothing to do."""

from pipeline.domain.live_events import retraining_skipped
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Scheduling
from pipeline.steps.publish import publish


def announce_skipped(run_id: str, model_type: ModelType, reason: str, scheduling: Scheduling) -> None:
    """Asked again for the same run, it changes nothing."""
    at = scheduling.clock.now()
    event = retraining_skipped(event_id=f"skipped:{run_id}", run_id=run_id, model_type=model_type, reason=reason, at=at)
    scheduling.outbox.add(event)
    publish(outbox=scheduling.outbox, publisher=scheduling.publisher)
