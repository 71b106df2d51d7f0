"""Listens to every model event, as the Monitoring and Notification services do."""

import json
import threading
import time
from typing import Any

import pika


class EventLog:
    """A private queue on the model events exchange, read by one thread."""

    def __init__(self, amqp_url: str, exchange: str = "model.events") -> None:
        self._parameters = pika.URLParameters(amqp_url)
        self._exchange = exchange
        self._events: list[dict[str, Any]] = []
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(20):
            raise TimeoutError("RabbitMQ did not give the demo a queue within 20 s")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def of_type(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self._events if event["eventType"] == event_type]

    def wait_for(self, event_type: str, count: int, timeout_seconds: float = 20) -> list[dict[str, Any]]:
        deadline = time.monotonic() + timeout_seconds
        while len(self.of_type(event_type)) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.of_type(event_type)

    def _listen(self) -> None:
        connection = pika.BlockingConnection(self._parameters)
        channel = connection.channel()
        channel.exchange_declare(self._exchange, exchange_type="topic", durable=True)
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, self._exchange, "#")
        self._ready.set()
        for method, _, body in channel.consume(queue, auto_ack=True, inactivity_timeout=0.2):
            if method is not None:
                self._events.append(json.loads(body))
            if self._stop.is_set():
                break
        connection.close()
