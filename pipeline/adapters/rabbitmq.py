"""RabbitMQ: the queue of confirmations in, the exchange of model events out."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.spec import BasicProperties

from include.contract.task_queue import declare_exchange, declare_task_topology
from include.contract.tracing import HEADER, OFF, Traces, sampled
from pipeline.adapters.amqp import (
    PERSISTENT,
    UnreadableProperties,
    connection_to,
    publish_into,
    unavailable_unless_answered,
)
from pipeline.domain.errors import NotTaken, ServiceUnavailable
from pipeline.domain.intake import AT_ONCE, Stay
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.ports.events import Message

log = logging.getLogger(__name__)

_IDLE_SECONDS = 1.0
_PREFETCH = 1000
_MAX_REASON_CHARACTERS = 500


@dataclass
class _Reading:
    """One connection while batches are read. Dead letters have a channel of their own: a broker that refuses one ends
    the channel, and with it every delivery tag.
    """

    connection: BlockingConnection
    channel: BlockingChannel
    unacknowledged: list[int] = field(default_factory=list)
    traced_since_ns: dict[int, int] = field(default_factory=dict)
    _publishing: BlockingChannel | None = None

    def message(self, method: Any, properties: Any, body: bytes) -> Message:
        self.unacknowledged.append(method.delivery_tag)
        unreadable, raw = None, b""
        if isinstance(properties, UnreadableProperties):
            unreadable, raw = properties.fault, properties.raw
        # The client hands on bytes that are not UTF-8 as they are; such an id is of no use.
        message_id = properties.message_id if isinstance(properties.message_id, str) else None
        context = sampled((properties.headers or {}).get(HEADER))
        if context:
            self.traced_since_ns[method.delivery_tag] = time.time_ns()
        return Message(body, message_id, method.delivery_tag, method.redelivered, unreadable, raw, context)

    def acknowledge(self, tags: set[int]) -> None:
        left = [tag for tag in self.unacknowledged if tag not in tags]
        if tags and (not left or left[0] > max(tags)):
            self.channel.basic_ack(max(tags), multiple=True)
        else:
            for tag in sorted(tags):
                self.channel.basic_ack(tag)
        self.unacknowledged = left

    @property
    def publishing(self) -> BlockingChannel:
        if self._publishing is None or not self._publishing.is_open:
            self._publishing = self.connection.channel()
            self._publishing.confirm_delivery()
        return self._publishing


class RabbitEventQueue:
    """Quorum queue `queue` on topic exchange `exchange`, dead letters on `<queue>.dead`.

    One connection while batches are read; only `acknowledge` acknowledges them, which ends the span `intake` in the
    trace of each.
    """

    def __init__(self, url: str, *, exchange: str, queue: str, traces: Traces = OFF) -> None:
        self._url = url
        self._exchange = exchange
        self._queue = queue
        self._traces = traces
        self._reading: _Reading | None = None

    def depth(self) -> int:
        with connection_to(self._url) as connection:
            channel = connection.channel()
            declare_task_topology(channel, self._exchange, self._queue)
            return int(channel.queue_declare(self._queue, passive=True).method.message_count)

    def batches(self, *, max_messages: int, batch_size: int, stay: Stay = AT_ONCE) -> Iterator[Sequence[Message]]:
        with connection_to(self._url) as connection:
            channel = connection.channel()
            declare_task_topology(channel, self._exchange, self._queue)
            channel.basic_qos(prefetch_count=min(_PREFETCH, max_messages))
            self._reading = _Reading(connection, channel)
            try:
                yield from self._drain(self._reading, max_messages, batch_size, stay)
            finally:
                # Closing the channel returns unacknowledged messages.
                self._reading = None

    def _drain(self, reading: _Reading, max_messages: int, batch_size: int, stay: Stay) -> Iterator[Sequence[Message]]:
        batch: list[Message] = []
        taken, silent, begun = 0, 0, time.monotonic()
        leave_at = begun + stay.longest_seconds
        for method, properties, body in reading.channel.consume(self._queue, inactivity_timeout=_IDLE_SECONDS):
            now = time.monotonic()
            if method is None:
                silent += 1
            else:
                taken, silent, begun = taken + 1, 0, begun if batch else now
                batch.append(reading.message(method, properties, body))
            ended = taken >= max_messages or silent * _IDLE_SECONDS >= stay.silence_seconds or now >= leave_at
            # Nobody waits for a batch to become full.
            if batch and (ended or silent or len(batch) >= batch_size or now - begun >= _IDLE_SECONDS):
                yield batch
                batch = []
            if ended:
                return
        raise ServiceUnavailable("RabbitMQ", f"{self._queue} was taken away while it was read")

    def dead_letter(self, message: Message, reason: str) -> None:
        # Printable and short: a reason may quote hostile text.
        headers: dict[str, Any] = {"x-reason": printable(reason)[:_MAX_REASON_CHARACTERS]}
        if message.traceparent:
            headers[HEADER] = message.traceparent
        if message.properties:
            headers["x-unreadable"] = message.properties
        dead = f"{self._queue}.dead"
        try:
            with unavailable_unless_answered(self._url):
                publishing = self._open().publishing
                publish_into(publishing, dead, message.body, headers=headers, message_id=message.message_id)
        except NotTaken as error:
            log.warning("a message stays in %s (%s): %s", self._queue, headers["x-reason"], error)
            raise

    def acknowledge(self, messages: Sequence[Message]) -> None:
        with unavailable_unless_answered(self._url):
            self._open().acknowledge({message.tag for message in messages})
        since_ns = self._open().traced_since_ns
        for message in messages:
            if message.traceparent:
                self._traces.event("intake", message.traceparent, began_ns=since_ns.pop(message.tag, None))

    def _open(self) -> _Reading:
        if self._reading is None:
            raise ServiceUnavailable("RabbitMQ", "no batch is being read: a delivery tag ends with its channel")
        return self._reading


def printable(text: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in text)


class RabbitEventPublisher:
    """Publishes model events to a topic exchange, routing key = event type, each confirmed by the broker."""

    def __init__(self, url: str, *, exchange: str) -> None:
        self._url = url
        self._exchange = exchange

    def publish(self, event: OutgoingEvent) -> None:
        properties = BasicProperties(
            message_id=event.id, content_type="application/json", delivery_mode=PERSISTENT, type=event.type
        )
        body = json.dumps(dict(event.payload), ensure_ascii=False).encode()
        with connection_to(self._url) as connection:
            channel = connection.channel()
            declare_exchange(channel, self._exchange)
            channel.confirm_delivery()
            channel.basic_publish(self._exchange, event.type, body, properties)
