"""Messages in, events out, and what is decided about them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.domain.events import TaskConfirmedEvent
from pipeline.domain.faces.confirmations import FaceConfirmation
from pipeline.domain.faces.live import FaceTally
from pipeline.domain.intake import AT_ONCE, Stay
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.retraining import Backlog, Claim, RetrainingDecision


@dataclass(frozen=True, slots=True)
class Message:
    """One broker message as received; `tag` acknowledges it on the channel it came from.

    `unreadable` says why its AMQP headers cannot be read, which are the sender's to choose; `properties` are the bytes
    of such headers and what stands beside them. `traceparent` is the W3C context of the trace it is part of, None for
    one that is not kept.
    """

    body: bytes
    message_id: str | None
    tag: int
    redelivered: bool = False
    unreadable: str | None = None
    properties: bytes = b""
    traceparent: str | None = None


class EventQueue(Protocol):
    """The queue of `TaskConfirmedEvent`s. Nothing leaves it before `acknowledge`."""

    def depth(self) -> int:
        """Messages ready, without touching them. Raises `ServiceUnavailable`."""

    def batches(self, *, max_messages: int, batch_size: int, stay: Stay = AT_ONCE) -> Iterator[Sequence[Message]]:
        """Batches until nothing more comes for as long as `stay` says, or `max_messages` came; none is held back for
        more than a second. Unacknowledged ones return on close.
        """

    def dead_letter(self, message: Message, reason: str) -> None:
        """Publish `message` with `reason` to the dead-letter queue and wait for the broker's confirmation.

        Raises `NotTaken` when the broker refuses this message, `ServiceUnavailable` when it is away.
        """

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge exactly these, once their effects are committed. When it raises `ServiceUnavailable`, they come
        again.
        """


@dataclass(frozen=True)
class DeadLetter:
    """A message that could not be used; `id` is short and made of its content.

    `headers` are its AMQP headers as text, the reason aside.
    """

    id: str
    message_id: str | None
    reason: str
    body: bytes
    headers: str = ""


class DeadLetters(Protocol):
    """Messages that could not be used, waiting for a person. All raise `ServiceUnavailable`."""

    def waiting(self) -> int:
        """How many, without touching them."""

    def all(self) -> Sequence[DeadLetter]:
        """Oldest first; they stay where they are."""

    def oldest(self, most: int) -> Sequence[DeadLetter]:
        """Reads at most `most`, and all stay; where there are more, those that were read may come last the
        next time.
        """

    def requeue(self, letter_id: str) -> DeadLetter:
        """Back to the queue of confirmations, with its message id and trace. Raises `GiveUp` for an unknown id."""

    def discard(self, letter_id: str) -> DeadLetter:
        """Gone for ever. Raises `GiveUp` for an unknown id."""


class EventPublisher(Protocol):
    def publish(self, event: OutgoingEvent) -> None:
        """Publish persistently with publisher confirms. Raises `ServiceUnavailable`."""


class Outbox(Protocol):
    """Events committed with their cause, waiting to be published (design D9)."""

    def pending(self) -> Sequence[OutgoingEvent]: ...

    def add(self, event: OutgoingEvent) -> None:
        """Add once: the same event id again changes nothing."""

    def mark_published(self, event_id: str) -> None: ...

    def untold(self) -> Sequence[OutgoingEvent]:
        """Events that nobody was told of yet, oldest first."""

    def mark_told(self, event_id: str) -> None: ...

    def telling(self) -> AbstractContextManager[bool]:
        """True inside for the process that tells people now, False while another one does."""

    def forget(self, *, before: datetime, dry_run: bool) -> int:
        """Delete what was published before that moment and told, or only count it; how many events."""


@dataclass(frozen=True)
class Stored:
    """How many of a batch were new; the others were known already."""

    new: int
    duplicates: int

    def __add__(self, other: "Stored") -> "Stored":
        return Stored(self.new + other.new, self.duplicates + other.duplicates)


class Backlogs(Protocol):
    """What people confirmed of one model type's answers."""

    def backlog(self, model_type: ModelType, champion: str | None) -> Backlog:
        """What `champion`, the version that serves, has not learned from."""


class Confirmations(Backlogs, Protocol):
    """Every confirmation that ever arrived, once."""

    def demand_reachable(self) -> None:
        """Raises `ServiceUnavailable` when nothing can be stored now."""

    def store(self, events: Sequence[TaskConfirmedEvent]) -> Stored:
        """Insert in one transaction; keys already present count as duplicates.

        Raises `ServiceUnavailable` when nothing can be stored now; any other error is the fault of one of `events`.
        """


class FaceConfirmations(Backlogs, Protocol):
    """Every confirmation about faces, once, apart from all others. All raise `ServiceUnavailable`."""

    def store(self, said: Sequence[FaceConfirmation]) -> Stored:
        """Insert in one transaction; keys already present, and people who were erased, count as duplicates.

        Any other error is the fault of one of `said`.
        """

    def tallies(self, since: datetime, until: datetime) -> Sequence[FaceTally]:
        """Tallies of checks whose last confirmation is later than `since`, and not later than `until`."""

    def newest(self, version: str, since: datetime, until: datetime) -> datetime | None:
        """When the last confirmation about a check of `version` was given; None without one."""

    def forget(self, person: str) -> int:
        """Delete what was said about this person; how many."""


class Decisions(Protocol):
    """Every evaluation of the retraining policy (design D15)."""

    def record(self, model_type: ModelType, decision: RetrainingDecision, *, at: datetime, asked_by: str) -> str:
        """Returns the decision's id; the id names the run that a due decision triggers."""

    def forget(self, model_type: ModelType, *, before: datetime, dry_run: bool) -> int:
        """Delete decisions against a retraining of before that moment, or only count them; how many."""


class Attendance(Protocol):
    """One process that works at a run by hand."""

    def lives(self, *, at: datetime) -> bool:
        """Note that the process is alive, which it repeats. False when the run holds no claim any more, or another
        process took the run over while the database was away. Raises `ServiceUnavailable`.
        """


class RetrainingRuns(Protocol):
    """At most one retraining of a model type at a time, whoever started it."""

    def begin(self, run_id: str, model_type: ModelType, *, at: datetime, by: str = "") -> bool:
        """Claim the model type; True also for the run that holds the claim already, False while another one does. Who
        began a run is kept when it goes on without `by`. Raises `GiveUp` for a run of another model type.
        """

    def holds(self, run_id: str) -> bool:
        """Whether this run holds a claim that has not ended."""

    def attended(self, run_id: str) -> AbstractContextManager[Attendance]:
        """One process works at a run by hand at a time; ends with the process. Raises `RunBusy` while another one does,
        and `ServiceUnavailable`.
        """

    def claim(self, model_type: ModelType) -> Claim | None:
        """The run that retrains the model type now, and since when."""

    def outcome(self, run_id: str) -> str | None:
        """How this run ended; None while it holds its claim, and for one that never had any."""

    def end(self, run_id: str, *, at: datetime, outcome: str) -> None:
        """Release the claim. `outcome` is a `RunOutcome`, or why a dead run lost it; a second time changes nothing,
        but that its model serves after all.
        """
