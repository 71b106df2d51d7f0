"""The dead-letter queue of RabbitMQ, for people: look, put back, throw away."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel

from include.contract.task_queue import declare_task_topology, queue_exists
from include.contract.tracing import HEADER, sampled
from pipeline.adapters.amqp import UnreadableProperties, connection_to, publish_into
from pipeline.domain.errors import GiveUp
from pipeline.ports.events import DeadLetter

_ID_CHARACTERS = 12
_MAX_REASON_CHARACTERS = 500


@dataclass(frozen=True)
class _Held:
    """A letter that was read; `kept` are the headers with which it goes back, `returned` says whether it went back
    before.
    """

    letter: DeadLetter
    tag: int
    kept: dict[str, Any]
    returned: bool


def waiting_in(url: str, queue: str) -> int:
    """How many messages nobody has taken; 0 where there is no such queue. Declares nothing, so that a mere observer may
    ask.
    """
    with connection_to(url) as connection:
        channel = connection.channel()
        if not queue_exists(channel, queue):
            return 0
        return int(channel.queue_declare(queue, passive=True).method.message_count)


class RabbitDeadLetters:
    """Queue `<queue>.dead`; every call but `waiting` and `oldest` reads the whole queue, which should be short."""

    def __init__(self, url: str, *, exchange: str, queue: str) -> None:
        self._url = url
        self._exchange = exchange
        self._queue = queue
        self._dead = f"{queue}.dead"

    def waiting(self) -> int:
        return waiting_in(self._url, self._dead)

    def all(self) -> Sequence[DeadLetter]:
        with self._held() as (_, held):
            return [one.letter for one in held]

    def oldest(self, most: int) -> Sequence[DeadLetter]:
        with self._held(most) as (_, held):
            return [one.letter for one in held]

    def requeue(self, letter_id: str) -> DeadLetter:
        def publish(channel: BlockingChannel, one: _Held) -> None:
            traced = {HEADER: one.kept[HEADER]} if HEADER in one.kept else None
            publish_into(channel, self._queue, one.letter.body, headers=traced, message_id=one.letter.message_id)

        return self._take(letter_id, publish)

    def discard(self, letter_id: str) -> DeadLetter:
        return self._take(letter_id, lambda channel, one: None)

    def _take(self, letter_id: str, before: Callable[[BlockingChannel, _Held], None]) -> DeadLetter:
        """The letter leaves the queue only after `before` was confirmed by the broker."""
        with self._held() as (channel, held):
            for one in held:
                if one.letter.id == letter_id:
                    before(channel, one)
                    channel.basic_ack(one.tag)
                    held.remove(one)
                    return one.letter
        raise GiveUp(f"no dead letter {letter_id[:40]!r}: `python -m pipeline dead-letters list` shows their ids")

    @contextmanager
    def _held(self, most: int | None = None) -> Iterator[tuple[BlockingChannel, list[_Held]]]:
        """Every letter, or the first `most`; those that are still in the list at the end go back."""
        with connection_to(self._url) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            declare_task_topology(channel, self._exchange, self._queue)
            held = list(islice(self._read(channel), most))
            yield channel, held
            if any(one.returned for one in held):
                self._renew(channel, held)

    def _renew(self, channel: BlockingChannel, held: Sequence[_Held]) -> None:
        """A broker with a limit drops what went back too often, and nothing catches what is dropped here: so letters go
        back by themselves once only, with the end of the channel. All that were read are renewed, in their order.
        """
        for one in held:
            publish_into(channel, self._dead, one.letter.body, headers=one.kept, message_id=one.letter.message_id)
            channel.basic_ack(one.tag)

    def _read(self, channel: BlockingChannel) -> Iterator[_Held]:
        while True:
            method, properties, body = channel.basic_get(self._dead)
            if method is None:
                return
            yield _held(method.delivery_tag, properties, body)


def _held(tag: int, properties: Any, body: bytes) -> _Held:
    message_id = properties.message_id if isinstance(properties.message_id, str) else None
    headers: dict[Any, Any] = dict(properties.headers or {})
    # How often a letter went back is in its headers; for unreadable ones nobody knows.
    returned = bool(headers.pop("x-delivery-count", 0))
    reason = f"given up by the broker: {headers.get('x-first-death-reason', 'no reason')}"
    if isinstance(properties, UnreadableProperties):
        returned, headers = True, {"x-unreadable": properties.raw}
        reason = f"its AMQP headers cannot be read: {properties.fault}"
    reason = str(headers.pop("x-reason", reason))[:_MAX_REASON_CHARACTERS]
    kept: dict[str, Any] = {"x-reason": reason}
    if context := sampled(headers.get(HEADER)):
        kept[HEADER] = context
    if isinstance(headers.get("x-unreadable"), bytes):
        kept["x-unreadable"] = headers["x-unreadable"]
    letter = DeadLetter(_id(message_id, body), message_id, reason, body, repr(headers) if headers else "")
    return _Held(letter, tag, kept, returned)


def _id(message_id: str | None, body: bytes) -> str:
    """An id made of the message itself, which need not have one: the same message always gets the same id."""
    return hashlib.sha256(f"{message_id}\n".encode() + body).hexdigest()[:_ID_CHARACTERS]
