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


def unheard(outbox: Outbox) -> list[str]:
    """What is urgent and reached nobody yet, as sentences; without a channel that lasts."""
    return [f"nobody was told yet: {notice.subject}" for _, notice in untold(outbox) if notice.urgent]
