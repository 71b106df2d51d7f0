"""Store every waiting confirmation once, then acknowledge it (specification, messages 5-6; design D9, D10)."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.events import InvalidEvent, TaskConfirmedEvent, parse_task_confirmed
from pipeline.ports.bundles import Intake
from pipeline.ports.events import Message

BATCH_SIZE = 500


@dataclass(frozen=True)
class Counts:
    """What one drain of the queue did; `received = new + duplicates + dead_lettered`."""

    received: int = 0
    new: int = 0
    duplicates: int = 0
    dead_lettered: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.received + other.received,
            self.new + other.new,
            self.duplicates + other.duplicates,
            self.dead_lettered + other.dead_lettered,
        )


def waiting(intake: Intake) -> int:
    """How many messages wait for `accumulate`. A drain that could not store them would only fail."""
    depth = intake.queue.depth()
    if depth:
        intake.confirmations.demand_reachable()
    return depth


def accumulate(intake: Intake, *, limit: int) -> Counts:
    """Drain up to `limit` messages. A batch is acknowledged only after its rows are committed and its dead letters
    confirmed, so a crash anywhere means redelivery, which the key makes harmless.
    """
    total = Counts()
    for batch in intake.queue.batches(max_messages=limit, batch_size=BATCH_SIZE):
        events = _usable(batch, intake)
        stored = intake.confirmations.store(events)
        intake.queue.acknowledge(batch)
        total += Counts(len(batch), stored.new, stored.duplicates, len(batch) - len(events))
    return total


def _usable(batch: Sequence[Message], intake: Intake) -> list[TaskConfirmedEvent]:
    """The batch's events; what is none goes to the dead letters with the reason."""
    now, events = intake.clock.now(), []
    for message in batch:
        try:
            event = parse_task_confirmed(
                message.body, message_id=message.message_id, now=now, photo_buckets=intake.photo_buckets
            )
        except InvalidEvent as error:
            intake.queue.dead_letter(message, str(error))
        else:
            events.append(event)
    return events
