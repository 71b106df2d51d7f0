"""Store every waiting confirmation once, then acknowledge it (specification, messages 5-6; design D9, D10)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from pipeline.domain.errors import NotTaken, TryAgain
from pipeline.domain.event_bounds import InvalidEvent
from pipeline.domain.events import TaskConfirmedEvent
from pipeline.domain.faces.confirmations import FaceConfirmation, parse_confirmation
from pipeline.domain.intake import AT_ONCE, Stay
from pipeline.ports.events import Message, Stored
from pipeline.ports.intake import Intake

BATCH_SIZE = 500


@dataclass(frozen=True)
class Counts:
    """What one drain of the queue did; `received = new + duplicates + faces + dead_lettered + parked`.

    Confirmations about `faces` are counted apart, new or not. Parked ones are taken neither by the database nor by the
    dead-letter queue: they stay in the queue.
    """

    received: int = 0
    new: int = 0
    duplicates: int = 0
    dead_lettered: int = 0
    parked: int = 0
    faces: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.received + other.received,
            self.new + other.new,
            self.duplicates + other.duplicates,
            self.dead_lettered + other.dead_lettered,
            self.parked + other.parked,
            self.faces + other.faces,
        )


Said = TypeVar("Said", TaskConfirmedEvent, FaceConfirmation)
Refused = tuple[Message, str]


@dataclass
class _Read:
    """The events of a batch, those about faces apart; and messages that are no events, with the reason."""

    laundry: list[tuple[Message, TaskConfirmedEvent]] = field(default_factory=list)
    faces: list[tuple[Message, FaceConfirmation]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def waiting(intake: Intake) -> int:
    """How many messages wait for `accumulate`. Raises `TryAgain` when they could not be stored anyway."""
    depth = intake.queue.depth()
    if depth:
        intake.confirmations.demand_reachable()
    return depth


def accumulate(intake: Intake, *, limit: int, stay: Stay = AT_ONCE) -> Counts:
    """Drain up to `limit` messages, for as long as `stay` says. A batch is acknowledged only after its rows are
    committed and its dead letters confirmed, so a crash anywhere means redelivery, which the key makes harmless.
    """
    # A broker may drop a message that comes back too often, so none is taken out of the queue during an outage.
    intake.confirmations.demand_reachable()
    total = Counts()
    for batch in intake.queue.batches(max_messages=limit, batch_size=BATCH_SIZE, stay=stay):
        read = _read(batch, intake)
        stored, unstorable = _store(read.laundry, intake.confirmations.store)
        faces, unstorable_faces = _store(read.faces, intake.faces.store) if read.faces else (Stored(0, 0), [])
        refused = read.refused + unstorable + unstorable_faces
        parked = _dead_letter(refused, intake)
        intake.queue.acknowledge([message for message in batch if message.tag not in parked])
        total += Counts(
            len(batch),
            stored.new,
            stored.duplicates,
            len(refused) - len(parked),
            len(parked),
            faces.new + faces.duplicates,
        )
    return total


def _read(batch: Sequence[Message], intake: Intake) -> _Read:
    now, read = intake.clock.now(), _Read()
    for message in batch:
        try:
            said = _said(message, now, intake.photo_buckets)
        except InvalidEvent as error:
            read.refused.append((message, str(error)))
            continue
        if isinstance(said, FaceConfirmation):
            read.faces.append((message, said))
        else:
            read.laundry.append((message, replace(said, traceparent=message.traceparent)))
    return read


def _said(message: Message, now: datetime, photo_buckets: frozenset[str]) -> TaskConfirmedEvent | FaceConfirmation:
    if message.unreadable:
        raise InvalidEvent(f"its AMQP headers cannot be read: {message.unreadable}; requeued, it comes without them")
    return parse_confirmation(message.body, now=now, photo_buckets=photo_buckets)


def _store(
    usable: Sequence[tuple[Message, Said]], store: Callable[[Sequence[Said]], Stored]
) -> tuple[Stored, list[Refused]]:
    """Store all that can be stored: a batch that fails is halved until each bad message is alone."""
    try:
        return store([said for _, said in usable]), []
    except TryAgain:
        raise
    except Exception as error:  # noqa: BLE001 - the database is there: it is one of these, and must not stop the others
        if len(usable) == 1:
            return Stored(0, 0), [(usable[0][0], f"it cannot be stored: {type(error).__name__} {error}")]
    half = len(usable) // 2
    first, second = _store(usable[:half], store), _store(usable[half:], store)
    return first[0] + second[0], first[1] + second[1]


def _dead_letter(refused: Sequence[Refused], intake: Intake) -> set[int]:
    """Tags of the messages that the dead-letter queue does not take either."""
    parked = set()
    for message, reason in refused:
        try:
            intake.queue.dead_letter(message, reason)
        except NotTaken:
            parked.add(message.tag)
    return parked
