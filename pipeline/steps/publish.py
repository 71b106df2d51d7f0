"""Publish the events that were committed with their cause (design D9)."""

from pipeline.ports.events import EventPublisher, Outbox


def publish(*, outbox: Outbox, publisher: EventPublisher) -> int:
    """Publish what is pending, oldest first; a crash before the mark publishes an event twice, and loses none."""
    events = outbox.pending()
    for event in events:
        publisher.publish(event)
        outbox.mark_published(event.id)
    return len(events)
