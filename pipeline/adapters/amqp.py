"""Connections to RabbitMQ: errors by their class, and messages whose headers the client cannot read."""

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError
from pika.frame import Header
from pika.spec import FRAME_END, FRAME_HEADER, BasicProperties

from pipeline.domain.errors import NotTaken, ServiceUnavailable

logging.getLogger("pika").setLevel(logging.CRITICAL)

PERSISTENT = 2
# The broker's words about one message that is published: too large, or against a rule of its queue.
_OF_THE_MESSAGE = {311, 406}
# All headers of a message have to fit into one frame.
MAX_KEPT_BYTES = 64 * 1024
_FRAME, _CONTENT = struct.Struct(">BHL"), struct.Struct(">HHQ")


class UnreadableProperties(BasicProperties):
    """Of a message whose headers the client cannot read: none of them, but the (first) bytes, and why."""

    def __init__(self, raw: bytes, fault: str) -> None:
        super().__init__()
        self.raw = raw[:MAX_KEPT_BYTES]
        self.fault = fault


@contextmanager
def connection_to(url: str) -> Iterator[BlockingConnection]:
    """Raises `ServiceUnavailable` for every fault of broker or connection; the URL's password is never shown."""
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 60
    parameters.blocked_connection_timeout = 30
    parameters.socket_timeout = 10
    with unavailable_unless_answered(url):
        connection = BlockingConnection(parameters, _impl_class=_AnyHeaders)
        try:
            yield connection
        finally:
            _close(connection)


def _close(connection: BlockingConnection) -> None:
    """Whatever was asked was answered; what was not, comes again."""
    with suppress(AMQPError, OSError):
        if connection.is_open:
            connection.close()


@contextmanager
def unavailable_unless_answered(url: str) -> Iterator[None]:
    """Raises `ServiceUnavailable`, naming broker and fault, for what the client raises inside."""
    try:
        yield
    except (AMQPError, OSError) as error:
        parameters = pika.URLParameters(url)
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


class _AnyHeaders(pika.SelectConnection):
    """Headers are the sender's to choose, and one that the client cannot read ends its connection, for ever again: a
    year 10000, tables in tables without end.
    """

    def _read_frame(self) -> Any:
        try:
            return super()._read_frame()
        except Exception as error:  # noqa: BLE001 - its decoder knows no bounds and raises whatever there is
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
