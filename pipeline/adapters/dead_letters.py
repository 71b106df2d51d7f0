"""The dead-letter queue of RabbitMQ, for people: look, put back, throw away."""

import hashlib
from collections.abc import Callable, Iterator, Sequence

import pika
from pika.adapters.blocking_connection import BlockingChannel

from pipeline.adapters.rabbitmq import ROUTING_KEY, connection_to, declare_task_topology
from pipeline.domain.errors import GiveUp
from pipeline.ports.events import DeadLetter

_ID_CHARACTERS = 12


class RabbitDeadLetters:
    """Queue `<queue>.dead`; every call reads the whole queue, which should be short."""

    def __init__(self, url: str, *, exchange: str, queue: str) -> None:
        self._url = url
        self._exchange = exchange
        self._queue = queue

    def waiting(self) -> int:
        with connection_to(self._url) as connection:
            channel = connection.channel()
            declare_task_topology(channel, self._exchange, self._queue)
            return int(channel.queue_declare(f"{self._queue}.dead", passive=True).method.message_count)

    def all(self) -> Sequence[DeadLetter]:
        with connection_to(self._url) as connection:
            # Closing the channel puts back what was read.
            return [letter for letter, _ in self._read(connection.channel())]

    def requeue(self, letter_id: str) -> DeadLetter:
        def publish(channel: BlockingChannel, letter: DeadLetter) -> None:
            properties = pika.BasicProperties(message_id=letter.message_id, delivery_mode=2)
            channel.basic_publish(self._exchange, ROUTING_KEY, letter.body, properties, mandatory=True)

        return self._take(letter_id, publish)

    def discard(self, letter_id: str) -> DeadLetter:
        return self._take(letter_id, lambda channel, letter: None)

    def _take(self, letter_id: str, before: Callable[[BlockingChannel, DeadLetter], None]) -> DeadLetter:
        """The letter leaves the queue only after `before` was confirmed by the broker."""
        with connection_to(self._url) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for letter, tag in self._read(channel):
                if letter.id == letter_id:
                    before(channel, letter)
                    channel.basic_ack(tag)
                    return letter
        raise GiveUp(f"no dead letter {letter_id[:40]!r}: `dead-letters list` shows their ids")

    def _read(self, channel: BlockingChannel) -> Iterator[tuple[DeadLetter, int]]:
        declare_task_topology(channel, self._exchange, self._queue)
        while True:
            method, properties, body = channel.basic_get(f"{self._queue}.dead")
            if method is None:
                return
            reason = str((properties.headers or {}).get("x-reason", "no reason given"))
            yield DeadLetter(_id(properties.message_id, body), properties.message_id, reason, body), method.delivery_tag


def _id(message_id: str | None, body: bytes) -> str:
    """An id made of the message itself, which need not have one: the same message always gets the same id."""
    return hashlib.sha256(f"{message_id}\n".encode() + body).hexdigest()[:_ID_CHARACTERS]
