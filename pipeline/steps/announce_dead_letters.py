"""Tell people, at most once a day, that unusable messages wait in the dead-letter queue."""

import logging

from pipeline.domain.errors import TryAgain
from pipeline.domain.outgoing_events import DeadLettersWaitingEvent
from pipeline.ports.clock import Clock
from pipeline.ports.events import DeadLetters, Outbox

log = logging.getLogger(__name__)


def announce_dead_letters(letters: DeadLetters, outbox: Outbox, clock: Clock) -> str | None:
    """None, or why the queue could not be counted: a broker out of reach is asked another time."""
    try:
        now, count = clock.now(), letters.waiting()
    except TryAgain as error:
        log.warning("dead letters are counted later: %s", error)
        return str(error)
    if count:
        event = DeadLettersWaitingEvent(id=f"dead-letters:{now.date().isoformat()}", count=count, at=now)
        outbox.add(event.outgoing())
    return None
