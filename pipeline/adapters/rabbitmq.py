"""RabbitMQ: the queue of confirmations in, the exchange of model events out."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError

from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.model_events import OutgoingEvent
from pipeline.ports.events import Message

logging.getLogger("pika").setLevel(logging.CRITICAL)

ROUTING_KEY = "TaskConfirmedEvent"
_IDLE_SECONDS = 1.0
_PREFETCH = 1000
_MAX_REASON_CHARACTERS = 500
_PERSISTENT = 2


class RabbitEventQueue:
    """Quorum queue `queue` on topic exchange `exchange`, dead letters on `<queue>.dead`.

    One connection while batches are read; only `acknowledge` acknowledges them.
    """

    def __init__(self, url: str, *, exchange: str, queue: str) -> None:
        self._url = url
        self._exchange = exchange
        self._queue = queue
        self._channel: BlockingChannel | None = None

    def depth(self) -> int:
        with connection_to(self._url) as connection:
            channel = connection.channel()
            self._declare(channel)
            return int(channel.queue_declare(self._queue, passive=True).method.message_count)

    def batches(self, *, max_messages: int, batch_size: int) -> Iterator[Sequence[Message]]:
        with connection_to(self._url) as connection:
            channel = connection.channel()
            self._declare(channel)
            channel.basic_qos(prefetch_count=min(_PREFETCH, max_messages))
            channel.confirm_delivery()
            self._channel = channel
            try:
                yield from self._drain(channel, max_messages, batch_size)
            finally:
                # Closing the channel returns what was not acknowledged.
                self._channel = None

    def _drain(self, channel: BlockingChannel, max_messages: int, batch_size: int) -> Iterator[Sequence[Message]]:
        batch: list[Message] = []
        taken = 0
        for method, properties, body in channel.consume(self._queue, inactivity_timeout=_IDLE_SECONDS):
            if method is not None:
                batch.append(Message(body, properties.message_id, method.delivery_tag, method.redelivered))
                taken += 1
            ended = method is None or taken >= max_messages
            if batch and (ended or len(batch) >= batch_size):
                yield batch
                batch = []
            if ended:
                return

    def dead_letter(self, message: Message, reason: str) -> None:
        # Printable and short: a reason may quote hostile text.
        text = "".join(c if c.isprintable() else "·" for c in reason)[:_MAX_REASON_CHARACTERS]
        properties = pika.BasicProperties(
            headers={"x-reason": text}, message_id=message.message_id, delivery_mode=_PERSISTENT
        )
        self._open_channel().basic_publish(f"{self._queue}.dead", "", message.body, properties, mandatory=True)

    def acknowledge(self, batch: Sequence[Message]) -> None:
        if batch:
            # Batches are consecutive, and earlier ones are acknowledged: `multiple` covers exactly this one.
            self._open_channel().basic_ack(batch[-1].tag, multiple=True)

    def _open_channel(self) -> BlockingChannel:
        if self._channel is None:
            raise ServiceUnavailable("RabbitMQ", "no batch is being read: a delivery tag ends with its channel")
        return self._channel

    def _declare(self, channel: BlockingChannel) -> None:
        declare_task_topology(channel, self._exchange, self._queue)


def declare_task_topology(channel: BlockingChannel, exchange: str, queue: str) -> None:
    """Exchange, quorum queue and its dead-letter queue; what exists is left alone."""
    dead = f"{queue}.dead"
    channel.exchange_declare(exchange, exchange_type="topic", durable=True)
    channel.exchange_declare(dead, exchange_type="fanout", durable=True)
    quorum = {"x-queue-type": "quorum"}
    channel.queue_declare(dead, durable=True, arguments=quorum)
    channel.queue_bind(dead, dead)
    channel.queue_declare(queue, durable=True, arguments={**quorum, "x-dead-letter-exchange": dead})
    channel.queue_bind(queue, exchange, ROUTING_KEY)


class RabbitEventPublisher:
    """Publishes model events to a topic exchange, routing key = event type, each confirmed by the broker."""

    def __init__(self, url: str, *, exchange: str) -> None:
        self._url = url
        self._exchange = exchange

    def publish(self, event: OutgoingEvent) -> None:
        properties = pika.BasicProperties(
            message_id=event.id, content_type="application/json", delivery_mode=_PERSISTENT, type=event.type
        )
        body = json.dumps(dict(event.payload), ensure_ascii=False).encode()
        with connection_to(self._url) as connection:
            channel = connection.channel()
            channel.exchange_declare(self._exchange, exchange_type="topic", durable=True)
            channel.confirm_delivery()
            channel.basic_publish(self._exchange, event.type, body, properties)


@contextmanager
def connection_to(url: str) -> Iterator[BlockingConnection]:
    """Raises `ServiceUnavailable` for every fault of broker or connection; the URL's password is never shown."""
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 60
    parameters.blocked_connection_timeout = 30
    parameters.socket_timeout = 10
    try:
        connection = pika.BlockingConnection(parameters)
        try:
            yield connection
        finally:
            if connection.is_open:
                connection.close()
    except (AMQPError, OSError) as error:
        where = f"{parameters.host}:{parameters.port}"
        raise ServiceUnavailable("RabbitMQ", f"{where}: {type(error).__name__} {error}".strip()) from error
