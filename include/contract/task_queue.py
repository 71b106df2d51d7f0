"""The queue between the Helper service and retraining: whoever comes first declares it, and the other uses it as
it is.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

ROUTING_KEY = "TaskConfirmedEvent"
_NOT_FOUND = 404
# RabbitMQ 4 by itself gives a message up that came back 20 times, which an outage does to good ones. There -1 would be
# the word for "never"; RabbitMQ 3 takes it, and gives up at once. A policy may set less: the smaller one counts.
_QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000}


def dead_letters_of(queue: str) -> str:
    """Name of the exchange that takes them and of the queue that keeps them."""
    return f"{queue}.dead"


def queue_arguments(queue: str) -> Mapping[str, Mapping[str, Any]]:
    """Arguments of `queue` and of the queue of its dead letters."""
    dead = dead_letters_of(queue)
    return {dead: _QUORUM, queue: {**_QUORUM, "x-dead-letter-exchange": dead}}


def declare_task_topology(channel: BlockingChannel, exchange: str, queue: str) -> None:
    """Exchange, quorum queue and its dead-letter queue. What exists is left alone, whatever its arguments: who reads
    needs no right to change what is written to.
    """
    dead = dead_letters_of(queue)
    declare_exchange(channel, exchange)
    declare_exchange(channel, dead, kind="fanout")
    for name, arguments in queue_arguments(queue).items():
        if not queue_exists(channel, name):
            channel.queue_declare(name, durable=True, arguments=dict(arguments))
    channel.queue_bind(dead, dead)
    channel.queue_bind(queue, exchange, ROUTING_KEY)


def declare_exchange(channel: BlockingChannel, name: str, *, kind: str = "topic") -> None:
    """Unless it exists."""
    if not _exists(channel, lambda asking: asking.exchange_declare(name, passive=True)):
        channel.exchange_declare(name, exchange_type=kind, durable=True)


def queue_exists(channel: BlockingChannel, queue: str) -> bool:
    return _exists(channel, lambda asking: asking.queue_declare(queue, passive=True))


def _exists(channel: BlockingChannel, ask: Callable[[BlockingChannel], object]) -> bool:
    """A negative answer closes the channel that asked, so a separate channel asks."""
    asking = channel.connection.channel()
    try:
        ask(asking)
    except ChannelClosedByBroker as error:
        if error.reply_code != _NOT_FOUND:
            raise
        return False
    asking.close()
    return True
