"""Tell people why a run that nobody looks at trained nothing."""

from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import RetrainingSkippedEvent
from pipeline.ports.bundles import Scheduling
from pipeline.steps.publish import publish_soon


def announce_skipped(
    scheduling: Scheduling, run_id: str, model_type: ModelType, reason: str, *, forced_for: str | None = None
) -> None:
    """Of the nightly run, or of one that was forced and may not begin. The same run tells it once, however often this
    is called.
    """
    at = scheduling.clock.now()
    about = {"run_id": run_id, "model_type": model_type, "reason": reason}
    skipped = RetrainingSkippedEvent(id=f"skipped:{run_id}", at=at, forced_for=forced_for, **about)
    scheduling.outbox.add(skipped.outgoing())
    publish_soon(outbox=scheduling.outbox, publisher=scheduling.publisher)
