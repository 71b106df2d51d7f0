"""Store every waiting confirmation once, then acknowledge it (specification, messages 5-6; design D9, D10)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.domain.errors import NotTaken, TryAgain
from pipeline.domain.event_bounds import InvalidEvent
from pipeline.domain.events import TaskConfirmedEvent, parse_task_confirmed
from pipeline.domain.intake import AT_ONCE, Stay
from pipeline.ports.bundles import Intake
from pipeline.ports.events import Confirmations, Message, Stored

BATCH_SIZE = 500


@dataclass(frozen=True)
class Counts:
    """What one drain of the queue did; `received = new + duplicates + dead_lettered + parked`.

    Parked are those that neither database nor dead-letter queue takes: they stay in the queue.
    """

    received: int = 0
    new: int = 0
    duplicates: int = 0
    dead_lettered: int = 0
    parked: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.received + other.received,
            self.new + other.new,
            self.duplicates + other.duplicates,
            self.dead_lettered + other.dead_lettered,
            self.parked + other.parked,
        )


Usable = tuple[Message, TaskConfirmedEvent]
Refused = tuple[Message, str]


def waiting(intake: Intake) -> int:
    """How many messages wait for `accumulate`. A drain that could not store them would only fail."""
    depth = intake.queue.depth()
    if depth:
        intake.confirmations.demand_reachable()
    return depth


def accumulate(intake: Intake, *, limit: int, stay: Stay = AT_ONCE) -> Counts:
    """Drain up to `limit` messages, for as long as `stay` says. A batch is acknowledged only after its rows are
    committed and its dead letters confirmed, so a crash anywhere means redelivery, which the key makes harmless.
    """
    # A broker may count how often a message comes back, and give it up: in an outage none is taken out.
    intake.confirmations.demand_reachable()
    total = Counts()
    for batch in intake.queue.batches(max_messages=limit, batch_size=BATCH_SIZE, stay=stay):
        usable, unusable = _read(batch, intake)
        stored, unstorable = _store(usable, intake.confirmations)
        refused = unusable + unstorable
        parked = _dead_letter(refused, intake)
        intake.queue.acknowledge([message for message in batch if message.tag not in parked])
        total += Counts(len(batch), stored.new, stored.duplicates, len(refused) - len(parked), len(parked))
    return total


def _read(batch: Sequence[Message], intake: Intake) -> tuple[list[Usable], list[Refused]]:
    """The batch's events, and what is none, with the reason."""
    now, usable, refused = intake.clock.now(), [], []
    for message in batch:
        try:
            usable.append((message, _event(message, now, intake.photo_buckets)))
        except InvalidEvent as error:
            refused.append((message, str(error)))
    return usable, refused


def _event(message: Message, now: datetime, photo_buckets: frozenset[str]) -> TaskConfirmedEvent:
    if message.unreadable:
        raise InvalidEvent(f"its AMQP headers cannot be read: {message.unreadable}; requeued, it comes without them")
    event = parse_task_confirmed(message.body, now=now, photo_buckets=photo_buckets)
    return replace(event, traceparent=message.traceparent)


def _store(usable: Sequence[Usable], confirmations: Confirmations) -> tuple[Stored, list[Refused]]:
    """Store all but those that cannot be: a batch that fails is halved until each of them is alone."""
    try:
        return confirmations.store([event for _, event in usable]), []
    except TryAgain:
        raise
    except Exception as error:  # noqa: BLE001 - the database is there: it is one of these, and must not stop the others
        if len(usable) == 1:
            return Stored(0, 0), [(usable[0][0], f"it cannot be stored: {type(error).__name__} {error}")]
    half = len(usable) // 2
    first, second = _store(usable[:half], confirmations), _store(usable[half:], confirmations)
    return first[0] + second[0], first[1] + second[1]


def _dead_letter(refused: Sequence[Refused], intake: Intake) -> set[int]:
    """Tags of those that the dead-letter queue does not take either."""
    parked = set()
    for message, reason in refused:
        try:
            intake.queue.dead_letter(message, reason)
        except NotTaken:
            parked.add(message.tag)
    return parked
