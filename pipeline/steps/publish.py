"""Publish the events that were committed with their cause (design D9)."""

import logging

from pipeline.domain.errors import GiveUp, TryAgain
from pipeline.ports.events import EventPublisher, Outbox

log = logging.getLogger(__name__)


def publish(*, outbox: Outbox, publisher: EventPublisher) -> int:
    """Publish what is pending, oldest first; a crash before the mark publishes an event twice, and loses none."""
    events = outbox.pending()
    for event in events:
        publisher.publish(event)
        outbox.mark_published(event.id)
    return len(events)


def publish_soon(*, outbox: Outbox, publisher: EventPublisher) -> None:
    """Publish now, or with the next events: what was done is done, and a broker that is away, or that takes nothing,
    must neither undo it nor hold up what matters more.
    """
    try:
        publish(outbox=outbox, publisher=publisher)
    except (TryAgain, GiveUp) as error:
        log.warning("events stay in the outbox for now: %s", error)
