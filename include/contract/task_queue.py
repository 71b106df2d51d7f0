"""The queue between the Helper service and retraining: whoever comes first declares it, the other takes it as it is."""

from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

ROUTING_KEY = "TaskConfirmedEvent"
_NOT_FOUND = 404
# RabbitMQ 4 by itself gives a message up that came back 20 times, which an outage does to good ones. There -1 would be
# the word for "never"; RabbitMQ 3 takes it, and gives up at once. A policy may set less: the smaller one counts.
_QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000}


def declare_task_topology(channel: BlockingChannel, exchange: str, queue: str) -> None:
    """Exchange, quorum queue and its dead-letter queue; a queue that exists is left alone, whatever its arguments."""
    dead = f"{queue}.dead"
    channel.exchange_declare(exchange, exchange_type="topic", durable=True)
    channel.exchange_declare(dead, exchange_type="fanout", durable=True)
    for name, arguments in ((dead, {}), (queue, {"x-dead-letter-exchange": dead})):
        if not _exists(channel, name):
            channel.queue_declare(name, durable=True, arguments={**_QUORUM, **arguments})
    channel.queue_bind(dead, dead)
    channel.queue_bind(queue, exchange, ROUTING_KEY)


def _exists(channel: BlockingChannel, queue: str) -> bool:
    """The answer "no" ends the channel that asked: so another one asks."""
    asking = channel.connection.channel()
    try:
        asking.queue_declare(queue, passive=True)
    except ChannelClosedByBroker as error:
        if error.reply_code != _NOT_FOUND:
            raise
        return False
    asking.close()
    return True
