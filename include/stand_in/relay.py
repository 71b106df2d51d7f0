"""Publishes the outbox to RabbitMQ, in order, each batch confirmed before it is marked."""

import json
from typing import Any

import pika
from opentelemetry.trace import SpanKind
from pika.adapters.blocking_connection import BlockingChannel

from include.contract.task_queue import ROUTING_KEY, declare_task_topology, queue_exists
from include.contract.tracing import HEADER, OFF, Traces, traceparent
from include.stand_in.background import IDLE_SECONDS, Background
from include.stand_in.outbox import Outbox

_BATCH = 200
_PERSISTENT = 2


class Relay(Background):
    """A crash between publishing and marking publishes events twice; none is lost."""

    name = "relay"

    def __init__(self, outbox: Outbox, amqp_url: str, exchange: str, queue: str, traces: Traces = OFF) -> None:
        super().__init__()
        self._outbox = outbox
        self._parameters = pika.URLParameters(amqp_url)
        self._exchange = exchange
        self._queue = queue
        self._traces = traces

    def _work(self) -> None:
        connection = pika.BlockingConnection(self._parameters)
        try:
            channel = connection.channel()
            # The queue belongs to the pipeline; once it exists, publishing needs no right to it.
            if not queue_exists(channel, self._queue):
                declare_task_topology(channel, self._exchange, self._queue)
            channel.confirm_delivery()
            while not self._stop.is_set():
                if not self._publish_batch(channel):
                    connection.process_data_events(time_limit=IDLE_SECONDS)
        finally:
            if connection.is_open:
                connection.close()

    def _publish_batch(self, channel: BlockingChannel) -> int:
        pending = self._outbox.unpublished(_BATCH)
        for event_id, payload, began in pending:
            if began is None:
                self._publish(channel, event_id, payload, None)
                continue
            with self._traces.span("publish", began, kind=SpanKind.PRODUCER):
                self._publish(channel, event_id, payload, {HEADER: traceparent() or began})
        if pending:
            self._outbox.mark_published([event_id for event_id, *_ in pending])
        return len(pending)

    def _publish(
        self, channel: BlockingChannel, event_id: str, payload: dict[str, Any], headers: dict[str, str] | None
    ) -> None:
        """The trace goes into the headers, not into the event, which stays as it is."""
        properties = pika.BasicProperties(
            message_id=event_id, content_type="application/json", delivery_mode=_PERSISTENT, headers=headers
        )
        body = json.dumps(payload, ensure_ascii=False).encode()
        channel.basic_publish(self._exchange, ROUTING_KEY, body, properties, mandatory=True)
