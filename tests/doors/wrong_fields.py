"""Messages with one field as it should not be, byte by byte: a caller's library need not be ours.

For every field of a message, and of the messages in it: left out, there twice, of another type, and the values of its
own type that somebody will send one day.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRES = {
    _VARINT: b"\x01",
    _FIXED64: bytes(8),
    _BYTES: b"\x02\xff\x00",
    _FIXED32: bytes(4),
}
_F = FieldDescriptor
_WIRE_OF = {
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_INT64, _F.TYPE_UINT32, _F.TYPE_UINT64), _VARINT),
    **dict.fromkeys((_F.TYPE_BOOL, _F.TYPE_ENUM, _F.TYPE_SINT32, _F.TYPE_SINT64), _VARINT),
    **dict.fromkeys((_F.TYPE_FIXED64, _F.TYPE_SFIXED64, _F.TYPE_DOUBLE), _FIXED64),
    **dict.fromkeys((_F.TYPE_FIXED32, _F.TYPE_SFIXED32, _F.TYPE_FLOAT), _FIXED32),
}
# So long that no name is it, and far under what a message may have.
_LONG = 100_000
_TEXTS: dict[str, bytes] = {
    "empty": b"",
    "a NUL": b"a\0b",
    "a way out": b"../../etc/passwd",
    "lines": b"a\r\nb\x1b[31m",
    "of another alphabet": "세탁물 🧺".encode(),
    "endless": b"a" * _LONG,
    "no UTF-8": b"\xff\xfe",
    "half a surrogate pair": b"\xed\xa0\x80",
    "NUL in two bytes": b"\xc0\x80",
}
_BLOBS: dict[str, bytes] = {"empty": b"", "no photo": b"\xff\xd8\xff\xe0 and no more", "endless": bytes(_LONG)}
_NUMBERS = {"nothing": 0, "negative": -1, "largest": 2**63 - 1, "smallest": -(2**63), "over 32 bits": 2**31}
_REALS = {
    "no number": float("nan"),
    "infinite": float("inf"),
    "infinitely small": float("-inf"),
    "negative": -1.0,
    "nothing": 0.0,
    "huge": 1e308,
    "tiny": 5e-324,
}
_DEEPEST = 3


def wrong(whole: Message) -> Iterator[tuple[str, bytes]]:
    """What is wrong, and the message's bytes; all that is not named stays as in `whole`."""
    yield "no bytes at all", b""
    for path in _paths(whole.DESCRIPTOR):
        name = ".".join(field.name for field in path)
        yield f"{name} left out", _with(whole, path, b"")
        for what, found in _values(path[-1]):
            yield f"{name} {what}", _with(whole, path, found)


def _paths(kind: Descriptor, above: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    for field in kind.fields:
        path = (*above, field)
        yield path
        if field.message_type and len(path) < _DEEPEST:
            yield from _paths(field.message_type, path)


def _with(whole: Message, path: Sequence[FieldDescriptor], found: bytes) -> bytes:
    """The message with these bytes for that field, and everything else as it was, also in the messages around it."""
    field, *deeper = path
    rest = type(whole)()
    rest.CopyFrom(whole)
    rest.ClearField(field.name)
    if deeper:
        found = _with(_inner(whole, field), deeper, found)
        found = _tag(field, _BYTES) + _varint(len(found)) + found
    return rest.SerializeToString() + found


def _inner(whole: Message, field: FieldDescriptor) -> Message:
    """The message in that field, of several the only one; an empty one where there is none."""
    made = GetMessageClass(field.message_type)()
    there = [value for known, value in whole.ListFields() if known.name == field.name]
    if there and not field.is_repeated:
        made.CopyFrom(there[0])
    elif there and isinstance(there[0], Mapping):
        ((made.key, value),) = there[0].items()
        made.value.CopyFrom(value)
    elif there:
        made.CopyFrom(there[0][0])
    return made


def _values(field: FieldDescriptor) -> Iterator[tuple[str, bytes]]:
    wire = _WIRE_OF.get(field.type, _BYTES)
    for what, value in _own(field).items():
        yield what, _tag(field, wire) + value
    one = _tag(field, wire) + next(iter(_own(field).values()))
    yield "twice", one * 2
    for other, value in _WIRES.items():
        if other != wire:
            yield f"as wire type {other}", _tag(field, other) + value
    yield "cut short", _tag(field, _BYTES) + _varint(50) + b"a"
    yield "of a group", _tag(field, 3)
    if wire == _VARINT:
        yield "of too many bytes", _tag(field, _VARINT) + b"\xff" * 10 + b"\x01"


def _own(field: FieldDescriptor) -> dict[str, bytes]:
    """Values as bytes on the wire."""
    wire = _WIRE_OF.get(field.type, _BYTES)
    if wire == _VARINT:
        return {what: _varint(number % 2**64) for what, number in _NUMBERS.items()}
    if wire in {_FIXED64, _FIXED32}:
        return {what: _real(field, number) for what, number in _REALS.items()}
    texts = {_F.TYPE_STRING: _TEXTS, _F.TYPE_BYTES: _BLOBS}.get(field.type, {"empty": b"", "of noise": b"\xff" * 9})
    return {what: _varint(len(text)) + text for what, text in texts.items()}


def _real(field: FieldDescriptor, number: float) -> bytes:
    if field.type == _F.TYPE_DOUBLE:
        return struct.pack("<d", number)
    if field.type == _F.TYPE_FLOAT:
        return struct.pack("<f", max(-3e38, min(3e38, number)))
    return struct.pack("<d", number)[: 8 if _WIRE_OF[field.type] == _FIXED64 else 4]


def _tag(field: FieldDescriptor, wire: int) -> bytes:
    return _varint(field.number << 3 | wire)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
