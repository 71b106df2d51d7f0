"""Store every waiting confirmation once, then acknowledge it (specification, messages 5-6; design D9, D10)."""

from dataclasses import dataclass

from pipeline.domain.events import InvalidEvent, TaskConfirmedEvent, parse_task_confirmed
from pipeline.ports.clock import Clock
from pipeline.ports.events import Confirmations, EventQueue

BATCH_SIZE = 500


@dataclass(frozen=True)
class Intake:
    """What one drain of the queue did; `received = new + duplicates + dead_lettered`."""

    received: int = 0
    new: int = 0
    duplicates: int = 0
    dead_lettered: int = 0


def accumulate(
    *, queue: EventQueue, confirmations: Confirmations, clock: Clock, photo_buckets: frozenset[str], limit: int
) -> Intake:
    """Drain up to `limit` messages. A batch is acknowledged only after its rows are committed and its dead letters
    confirmed, so a crash anywhere means redelivery, which the key makes harmless.
    """
    total = Intake()
    for batch in queue.batches(max_messages=limit, batch_size=BATCH_SIZE):
        now = clock.now()
        events: list[TaskConfirmedEvent] = []
        dead = 0
        for message in batch:
            try:
                events.append(
                    parse_task_confirmed(
                        message.body, message_id=message.message_id, now=now, photo_buckets=photo_buckets
                    )
                )
            except InvalidEvent as error:
                queue.dead_letter(message, str(error))
                dead += 1
        stored = confirmations.store(events)
        queue.acknowledge(batch)
        total = Intake(
            received=total.received + len(batch),
            new=total.new + stored.new,
            duplicates=total.duplicates + stored.duplicates,
            dead_lettered=total.dead_lettered + dead,
        )
    return total
