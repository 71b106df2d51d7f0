"""AMQP properties byte by byte: a sender's client need not be ours, and may write what ours cannot."""

import struct
from typing import Any

from pika.spec import BasicProperties

_HEADERS, _MESSAGE_ID = 1 << 13, 1 << 7
_SHORT = {"content_type": 1 << 15, "content_encoding": 1 << 14, "reply_to": 1 << 9, "type": 1 << 5, "app_id": 1 << 3}
_ORDER = ("content_type", "content_encoding", "headers", "reply_to", "message_id", "type", "app_id")


class Properties(BasicProperties):
    """As the bytes say, whatever they say."""

    def __init__(self, raw: bytes = b"\0\0") -> None:
        super().__init__()
        self.raw = raw

    def encode(self) -> list[bytes]:
        return [self.raw]


def short(text: bytes) -> bytes:
    return struct.pack("B", len(text)) + text


def header(kind: bytes, value: bytes, name: bytes = b"h") -> bytes:
    """One entry of a table."""
    return short(name) + kind + value


def table(*entries: bytes) -> bytes:
    content = b"".join(entries)
    return struct.pack(">I", len(content)) + content


def nested(levels: int) -> bytes:
    """A table in a table in a table …"""
    inner = table()
    for _ in range(levels):
        inner = table(header(b"F", inner))
    return inner


def properties(**chosen: Any) -> bytes:
    """`headers` is a table; the others are text of at most 255 bytes."""
    flags, parts = 0, []
    for name in _ORDER:
        if name in chosen:
            flags |= {**_SHORT, "headers": _HEADERS, "message_id": _MESSAGE_ID}[name]
            parts.append(chosen[name] if name == "headers" else short(chosen[name]))
    return struct.pack(">H", flags) + b"".join(parts)
