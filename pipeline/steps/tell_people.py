"""The notices of events that people were not told of yet."""

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
    """Sentences about urgent events that reached nobody yet; without a channel they stay."""
    return [f"nobody was told yet: {notice.subject}" for _, notice in untold(outbox) if notice.urgent]
