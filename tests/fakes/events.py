"""Queue, outbox, confirmations, decisions, claims, clock."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pipeline.domain.errors import GiveUp, NotTaken, RunBusy, ServiceUnavailable
from pipeline.domain.events import TaskConfirmedEvent
from pipeline.domain.intake import AT_ONCE, Stay
from pipeline.domain.models import ModelType, demand_of_type
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.retraining import Backlog, Claim, RetrainingDecision, RunOutcome
from pipeline.domain.troubles import Place, Trouble
from pipeline.ports.events import DeadLetter, Message, Stored
from tests.builders import NOW


@dataclass
class FakeClock:
    at: datetime = NOW

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


@dataclass
class FakeQueue:
    """Messages come back, marked redelivered, unless they were acknowledged while their channel was open."""

    waiting: list[Message] = field(default_factory=list)
    dead: list[tuple[Message, str]] = field(default_factory=list)
    refused_letters: set[bytes] = field(default_factory=set)
    _unacknowledged: list[Message] | None = None

    def send(self, body: bytes, message_id: str | None = None, traceparent: str | None = None) -> None:
        self.waiting.append(Message(body, message_id, 0, traceparent=traceparent))

    def depth(self) -> int:
        return len(self.waiting)

    def batches(self, *, max_messages: int, batch_size: int, stay: Stay = AT_ONCE) -> Iterator[Sequence[Message]]:
        self._unacknowledged = []
        try:
            for start in range(0, min(max_messages, len(self.waiting)), batch_size):
                size = min(batch_size, max_messages - start, len(self.waiting))
                batch = [replace(m, tag=start + i + 1) for i, m in enumerate(self.waiting[:size])]
                del self.waiting[:size]
                self._unacknowledged += batch
                yield batch
        finally:
            self.waiting[:0] = [replace(m, redelivered=True) for m in self._unacknowledged]
            self._unacknowledged = None

    def dead_letter(self, message: Message, reason: str) -> None:
        self._demand_open()
        if message.body in self.refused_letters:
            raise NotTaken("no")
        self.dead.append((message, reason))

    def acknowledge(self, batch: Sequence[Message]) -> None:
        self._demand_open()
        done = {m.tag for m in batch}
        self._unacknowledged = [m for m in self._unacknowledged or () if m.tag not in done]

    def _demand_open(self) -> None:
        if self._unacknowledged is None:
            raise ServiceUnavailable("RabbitMQ", "no batch is being read")


@dataclass
class FakeConfirmations:
    """`asked` are the model type and the champion that the last question was about."""

    stored: dict[str, TaskConfirmedEvent] = field(default_factory=dict)
    asked: tuple[ModelType, str | None] | None = None
    waiting: Backlog = field(default_factory=lambda: Backlog(0, 0, None))
    away: bool = False
    refuses: dict[str, Exception] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    withheld: Callable[[TaskConfirmedEvent], bool] = field(default=lambda event: False, compare=False)

    def demand_reachable(self) -> None:
        if self.away:
            raise ServiceUnavailable("the mlops database", "gone")

    def store(self, events: Sequence[TaskConfirmedEvent]) -> Stored:
        for event in events:
            if event.task_id in self.refuses:
                raise self.refuses[event.task_id]
        before = len(self.stored)
        for event in events:
            self.stored.setdefault(event.key, event)
        new = len(self.stored) - before
        return Stored(new, len(events) - new)

    def backlog(self, model_type: ModelType, champion: str | None) -> Backlog:
        self.asked = (model_type, champion)
        return self.waiting

    @property
    def counting(self) -> list[TaskConfirmedEvent]:
        """Of each task the last word, and of each photo the last one about a version that nobody set aside."""
        said = sorted(self.stored.values(), key=lambda e: (e.confirmed_at, e.key))
        last = {e.task_id: e for e in said}.values()
        last = sorted(last, key=lambda e: (not self.withheld(e), e.confirmed_at, e.key))
        return list({(self.clusters.get(e.photo_url, e.photo_url), e.model_version): e for e in last}.values())


@dataclass
class FakeOutbox:
    events: dict[str, OutgoingEvent] = field(default_factory=dict)
    somebody_tells: bool = False
    published: dict[str, datetime] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def pending(self) -> Sequence[OutgoingEvent]:
        return [e for e in self.events.values() if e.id not in self.published]

    def add(self, event: OutgoingEvent) -> None:
        """A part without a value is left out of an event, except where the specification shows null."""
        missing = {name for name, value in event.payload.items() if value is None} - {"previousVersion", "champion"}
        assert event.id and not missing, f"{event.type} {event.id} says nothing of {', '.join(missing)}"
        self.events.setdefault(event.id, event)

    def mark_published(self, event_id: str) -> None:
        self.published[event_id] = datetime.now(UTC)

    def untold(self) -> Sequence[OutgoingEvent]:
        return [e for e in self.events.values() if e.id not in self.told]

    def mark_told(self, event_id: str) -> None:
        self.told.add(event_id)

    @contextmanager
    def telling(self) -> Iterator[bool]:
        mine, self.somebody_tells = not self.somebody_tells, True
        try:
            yield mine
        finally:
            self.somebody_tells = not mine

    def forget(self, *, before: datetime, dry_run: bool) -> int:
        over = {name for name, at in self.published.items() if at < before} & self.told
        if not dry_run:
            self.events = {name: event for name, event in self.events.items() if name not in over}
            self.published = {name: at for name, at in self.published.items() if name not in over}
            self.told -= over
        return len(over)

    def types(self) -> list[str]:
        return [e.type for e in self.events.values()]


@dataclass
class FakeTroubles:
    outbox: FakeOutbox
    known: dict[str, Trouble] = field(default_factory=dict)

    def open(self) -> Sequence[Trouble]:
        return [t for t in self.known.values() if t.ended_at is None]

    def at(self, place: Place) -> Trouble | None:
        return next((t for t in self.open() if t.place == place), None)

    def keep(self, trouble: Trouble, event: OutgoingEvent | None) -> None:
        here = self.at(trouble.place)
        if here.id == trouble.id if here else trouble.id not in self.known:
            self.known[trouble.id] = trouble
            if event:
                self.outbox.add(event)


@dataclass
class FakePublisher:
    published: list[OutgoingEvent] = field(default_factory=list)

    def publish(self, event: OutgoingEvent) -> None:
        self.published.append(event)


@dataclass
class FakeDecisions:
    recorded: list[tuple[ModelType, RetrainingDecision, str]] = field(default_factory=list)
    at: list[datetime] = field(default_factory=list)

    def record(self, model_type: ModelType, decision: RetrainingDecision, *, at: datetime, asked_by: str) -> str:
        assert at is not None, "null value in a column of the time"
        self.recorded.append((model_type, decision, asked_by))
        self.at.append(at)
        return f"decision-{len(self.recorded)}"

    def forget(self, model_type: ModelType, *, before: datetime, dry_run: bool) -> int:
        rows = list(zip(self.recorded, self.at, strict=True))
        kept = [(one, at) for one, at in rows if one[0] is not model_type or at >= before or one[1].due]
        if not dry_run:
            self.recorded, self.at = [one for one, _ in kept], [at for _, at in kept]
        return len(rows) - len(kept)


@dataclass
class FakeRetrainingRuns:
    claims: dict[str, tuple[ModelType, datetime]] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    begun_by: dict[str, str] = field(default_factory=dict)
    types: dict[str, ModelType] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)
    at_work: dict[str, "FakeAttendance"] = field(default_factory=dict)

    def begin(self, run_id: str, model_type: ModelType, *, at: datetime, by: str = "") -> bool:
        demand_of_type(run_id, self.types.get(run_id, model_type), model_type)
        if run_id in self.claims:
            return True
        if self.claim(model_type):
            return False
        assert at is not None, "null value in a column of the time"
        self.claims[run_id], self.types[run_id] = (model_type, at), model_type
        self.begun_by[run_id] = by or self.begun_by.get(run_id, "")
        self.ended.pop(run_id, None)
        self.seen.pop(run_id, None)
        return True

    def holds(self, run_id: str) -> bool:
        return run_id in self.claims

    def claim(self, model_type: ModelType) -> Claim | None:
        held = ((run, at) for run, (claimed, at) in self.claims.items() if claimed is model_type)
        return next((Claim(run, at, self.begun_by[run], self.seen.get(run)) for run, at in held), None)

    @contextmanager
    def attended(self, run_id: str) -> Iterator["FakeAttendance"]:
        if run_id in self.at_work:
            raise RunBusy(f"another process works at run {run_id}")
        attendance = self.at_work[run_id] = FakeAttendance(self, run_id)
        try:
            yield attendance
        finally:
            if self.at_work.get(run_id) is attendance:
                del self.at_work[run_id]

    def outcome(self, run_id: str) -> str | None:
        return self.ended.get(run_id)

    def end(self, run_id: str, *, at: datetime, outcome: str) -> None:
        assert at is not None, "null value in a column of the time"
        held = self.claims.pop(run_id, None) is not None
        if held or (run_id in self.ended and outcome == RunOutcome.DEPLOYED):
            self.ended[run_id] = outcome


@dataclass
class FakeAttendance:
    runs: FakeRetrainingRuns
    run_id: str

    def lives(self, *, at: datetime) -> bool:
        # Whoever lost its session takes the lock again, unless another process has it.
        mine = self.runs.at_work.setdefault(self.run_id, self) is self
        if mine and self.run_id in self.runs.claims:
            self.runs.seen[self.run_id] = at
        return mine and self.run_id in self.runs.claims


def _headers(message: Message) -> str:
    beside = {"traceparent": message.traceparent, "x-unreadable": message.properties}
    known = {name: value for name, value in beside.items() if value}
    return repr(known) if known else ""


@dataclass
class FakeDeadLetters:
    """`queue` gets what is put back."""

    queue: FakeQueue = field(default_factory=FakeQueue)

    def waiting(self) -> int:
        return len(self.queue.dead)

    def all(self) -> Sequence[DeadLetter]:
        return [
            DeadLetter(
                hashlib.sha256(f"{m.message_id}\n".encode() + m.body).hexdigest()[:12],
                m.message_id,
                reason,
                m.body,
                _headers(m),
            )
            for m, reason in self.queue.dead
        ]

    def oldest(self, most: int) -> Sequence[DeadLetter]:
        return self.all()[:most]

    def requeue(self, letter_id: str) -> DeadLetter:
        before = list(self.queue.dead)
        letter = self.discard(letter_id)
        (message,) = [one for one, _ in before if one not in [left for left, _ in self.queue.dead]]
        self.queue.send(letter.body, letter.message_id, message.traceparent)
        return letter

    def discard(self, letter_id: str) -> DeadLetter:
        for number, letter in enumerate(self.all()):
            if letter.id == letter_id:
                del self.queue.dead[number]
                return letter
        raise GiveUp(f"no dead letter {letter_id!r}")
