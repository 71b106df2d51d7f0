"""Connections to RabbitMQ: errors by their class, and messages whose headers the client cannot read."""

import logging
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPConnectionError, AMQPError, ChannelClosedByBroker, NackError, UnroutableError
from pika.frame import Header
from pika.spec import FRAME_END, FRAME_HEADER, BasicProperties

from pipeline.domain.errors import GiveUp, NotTaken, ServiceUnavailable

logging.getLogger("pika").setLevel(logging.CRITICAL)

PERSISTENT = 2
# What the broker answers about one published message: too large, or against a rule of its queue.
_OF_THE_MESSAGE = {311, 406}
# A broker may send heartbeats and never answer: it was frozen, or a queue lost the majority of its nodes.
# The slowest answer of a healthy one is a confirmation, which takes milliseconds, seconds under load.
ANSWERS_WITHIN_SECONDS = 20
# All headers of a message have to fit into one frame.
MAX_KEPT_BYTES = 64 * 1024
_FRAME, _CONTENT = struct.Struct(">BHL"), struct.Struct(">HHQ")


class UnreadableProperties(BasicProperties):
    """Stands in for headers that the client cannot read: their (first) bytes, and why."""

    def __init__(self, raw: bytes, fault: str) -> None:
        super().__init__()
        self.raw = raw[:MAX_KEPT_BYTES]
        self.fault = fault


@contextmanager
def connection_to(url: str) -> Iterator[BlockingConnection]:
    """Raises `ServiceUnavailable` for every fault of broker or connection, silence is one, and `GiveUp` for a URL that
    is none; its password is never shown.
    """
    parameters = _parameters(url)
    parameters.heartbeat = 60
    parameters.socket_timeout = 10
    parameters.stack_timeout = ANSWERS_WITHIN_SECONDS
    # Sooner than an answer, so that what is raised names the broker's alarm.
    parameters.blocked_connection_timeout = 0.75 * ANSWERS_WITHIN_SECONDS
    with unavailable_unless_answered(url):
        connection = _Answered(parameters, _impl_class=_AnyHeaders)
        try:
            yield connection
        finally:
            _close(connection)


def _parameters(url: str) -> pika.URLParameters:
    try:
        return pika.URLParameters(url)
    except Exception as error:  # noqa: BLE001 - of a wrong URL the client raises what it stumbles over
        # Whatever it says may quote the password.
        shape = "amqp://user:password@host:5672/%2F"
        raise GiveUp(f"the address of RabbitMQ is none such as {shape} ({type(error).__name__})") from None


def _close(connection: BlockingConnection) -> None:
    """Errors while closing are ignored: all answers are in, and unacknowledged messages come again."""
    with suppress(AMQPError, OSError):
        if connection.is_open:
            connection.close()


@contextmanager
def unavailable_unless_answered(url: str) -> Iterator[None]:
    """Raises `ServiceUnavailable`, naming broker and fault, for what the client raises inside."""
    try:
        yield
    except (AMQPError, AMQPConnectorException, OSError) as error:
        parameters = _parameters(url)
        where = f"{parameters.host}:{parameters.port}"
        raise ServiceUnavailable("RabbitMQ", f"{where}: {type(error).__name__} {error}".strip()) from error


def publish_into(channel: BlockingChannel, queue: str, body: bytes, **properties: Any) -> None:
    """Persistently, on a channel that confirms. Raises `NotTaken` when the broker refuses this message."""
    try:
        channel.basic_publish("", queue, body, BasicProperties(delivery_mode=PERSISTENT, **properties), mandatory=True)
    except (NackError, UnroutableError) as error:
        raise NotTaken(f"{queue} does not take it: {type(error).__name__}") from error
    except ChannelClosedByBroker as error:
        if error.reply_code not in _OF_THE_MESSAGE:
            raise
        raise NotTaken(f"{queue} does not take it: {error.reply_text}") from error


class _Answered(BlockingConnection):
    """The client waits for an answer without end while heartbeats arrive. Every wait of its own is this one, closing
    included; a reader that waits for messages comes back each second.
    """

    def _flush_output(self, *waiters: Callable[[], bool]) -> None:
        if self.is_closed:
            # This call raises: the connection is closed, and a closed one has no timers.
            return super()._flush_output(*waiters)
        loop = self._impl.ioloop
        deadline = loop.call_later(ANSWERS_WITHIN_SECONDS, self._end)
        try:
            super()._flush_output(*waiters)
        finally:
            loop.remove_timeout(deadline)

    def _end(self) -> None:
        silence = f"no answer within {ANSWERS_WITHIN_SECONDS} s: it hangs, or a queue lost its majority"
        self._impl._terminate_stream(AMQPConnectionError(silence))  # noqa: SLF001 - as the client ends one without heartbeats


class _AnyHeaders(pika.SelectConnection):
    """Headers are the sender's to choose, and one that the client cannot read ends its connection, for ever again: a
    year 10000, tables in tables without end.
    """

    def _read_frame(self) -> Any:
        try:
            return super()._read_frame()
        except Exception as error:  # noqa: BLE001 - its decoder knows no bounds and raises anything
            frame = _without_headers(self._frame_buffer, f"{type(error).__name__} {error}".strip())
            if frame is None:
                raise
            return frame


def _without_headers(buffer: bytes, fault: str) -> tuple[int, Header] | None:
    """Bytes of the frame, and the frame; None unless it is what announces a message."""
    kind, channel, size = _FRAME.unpack_from(buffer)
    end = _FRAME.size + size
    if kind != FRAME_HEADER or buffer[end] != FRAME_END:
        return None
    _, _, body_size = _CONTENT.unpack_from(buffer, _FRAME.size)
    return end + 1, Header(channel, body_size, UnreadableProperties(buffer[_FRAME.size + _CONTENT.size : end], fault))
