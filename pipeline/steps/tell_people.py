"""What people have to be told of the events that nobody was told of yet."""

from collections.abc import Iterator

from pipeline.domain.notices import Notice, notice_of
from pipeline.ports.events import Outbox


def untold(outbox: Outbox) -> Iterator[tuple[str, Notice]]:
    """Event ids with their notices, oldest first. What only programs care about is marked as told on the way."""
    for event in outbox.untold():
        notice = notice_of(event)
        if notice is None:
            outbox.mark_told(event.id)
        else:
            yield event.id, notice
