"""Publishes the outbox to RabbitMQ, in order, each batch confirmed before it is marked."""

import json
import logging
import threading

import pika
import psycopg2
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from include.contract.task_queue import ROUTING_KEY, declare_task_topology
from include.helper_service.tasks import Tasks

log = logging.getLogger(__name__)
logging.getLogger("pika").setLevel(logging.CRITICAL)

_BATCH = 200
_IDLE_SECONDS = 0.2
_MAX_PAUSE_SECONDS = 10.0
_PERSISTENT = 2


class Relay:
    """One thread. A crash between publishing and marking publishes events twice; none is lost."""

    def __init__(self, tasks: Tasks, amqp_url: str, exchange: str, queue: str) -> None:
        self._tasks = tasks
        self._parameters = pika.URLParameters(amqp_url)
        self._exchange = exchange
        self._queue = queue
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        pause = _IDLE_SECONDS
        while not self._stop.wait(pause):
            try:
                self._publish_while_connected()
            except (AMQPError, OSError, psycopg2.Error) as error:
                pause = min(pause * 2, _MAX_PAUSE_SECONDS)
                log.warning("relay waits %.1f s: %s %s", pause, type(error).__name__, error)
            else:
                pause = _IDLE_SECONDS

    def _publish_while_connected(self) -> None:
        connection = pika.BlockingConnection(self._parameters)
        try:
            channel = connection.channel()
            declare_task_topology(channel, self._exchange, self._queue)
            channel.confirm_delivery()
            while not self._stop.is_set():
                if not self._publish_batch(channel):
                    connection.process_data_events(time_limit=_IDLE_SECONDS)
        finally:
            if connection.is_open:
                connection.close()

    def _publish_batch(self, channel: BlockingChannel) -> int:
        pending = self._tasks.unpublished(_BATCH)
        for event_id, payload in pending:
            properties = pika.BasicProperties(
                message_id=event_id, content_type="application/json", delivery_mode=_PERSISTENT
            )
            body = json.dumps(payload, ensure_ascii=False).encode()
            channel.basic_publish(self._exchange, ROUTING_KEY, body, properties, mandatory=True)
        if pending:
            self._tasks.mark_published([event_id for event_id, _ in pending])
        return len(pending)
