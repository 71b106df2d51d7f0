"""The real broker of the tests, from the side of a sender, and of whoever runs it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pika
from pika.exceptions import AMQPError

from include.contract.task_queue import declare_task_topology
from include.stack.services import executable
from tests.corpus.amqp import Properties, properties
from tests.services import Services

EXCHANGE, QUEUE = "task.events", "mlops.task-confirmed"
DEAD = f"{QUEUE}.dead"


class Broker:
    def __init__(self, services: Services) -> None:
        self._services = services
        self.url = services.stack.amqp_url
        with self.channel() as channel:
            declare_task_topology(channel, EXCHANGE, QUEUE)

    @contextmanager
    def channel(self) -> Iterator[Any]:
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            yield connection.channel()
        finally:
            if connection.is_open:
                connection.close()

    def publish(self, *messages: tuple[bytes, str | None]) -> None:
        self.send(*((body, properties(message_id=id_.encode()) if id_ else b"\0\0") for body, id_ in messages))

    def send(self, *messages: tuple[bytes, bytes]) -> int:
        """Bodies and properties, byte by byte; how many the broker took: one it cannot read ends the connection."""
        left, taken = list(messages), 0
        while left:
            with suppress(AMQPError), self.channel() as channel:
                channel.confirm_delivery()
                while left:
                    body, raw = left.pop(0)
                    channel.basic_publish(EXCHANGE, "TaskConfirmedEvent", body, Properties(raw), mandatory=True)
                    taken += 1
        return taken

    def waiting(self, queue: str = QUEUE) -> int:
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)

    def ctl(self, *command: str) -> None:
        """`rabbitmqctl`, of this broker alone."""
        environment = {**os.environ, **self._services.program("rabbitmq").environment}
        asked = (
            executable("rabbitmqctl", "/usr/lib/rabbitmq/bin"),
            "--node",
            environment["RABBITMQ_NODENAME"],
            *command,
        )
        subprocess.run(asked, env=environment, check=True, capture_output=True, timeout=60)

    @contextmanager
    def policy(self, pattern: str, definition: str) -> Iterator[None]:
        """As an operator sets one: of queues whose name matches."""
        self.ctl("set_policy", "--apply-to", "queues", "of-a-test", pattern, definition)
        try:
            yield
        finally:
            self.ctl("clear_policy", "of-a-test")
