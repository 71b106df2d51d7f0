"""How many parts a message has, counted in its bytes: made of two bytes each, they take forty times the message."""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

# 64 photos, and for the request and each of its tensors 64 parameters, take a quarter of this.
MAX_PARTS = 4096
# Images may be lists of numbers. Reading them keeps Python's lock, some 5 ms for each million of bytes, and so does
# whatever looks at them: as many as a message may have would stall everybody for half a second.
MAX_NUMBER_BYTES = 4 << 20
NO_MESSAGE = "the bytes are no message of this call"
_VARINT, _FIXED64, _BYTES, _GROUP, _GROUP_END, _FIXED32 = range(6)
_SIZES = {_FIXED64: 8, _GROUP: 0, _GROUP_END: 0, _FIXED32: 4}
_VARINT_BYTES = 10
# Four or eight bytes in memory for each byte, and nothing that is asked of this server needs many of them.
_WIDE = {getattr(FieldDescriptor, f"CPPTYPE_{name}") for name in ("INT32", "INT64", "UINT64", "ENUM")}
_NUMBERS = {FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_BOOL}


def demand_few_parts(body: bytes, kind: Descriptor) -> None:
    """Every field counts, and of a packed list of numbers every byte; but an image may be a list of UINT32.

    Raises `ValueError` for more than `MAX_PARTS` or `MAX_NUMBER_BYTES`, and for bytes that are no fields.
    """
    parts, number_bytes, inside = 0, 0, [(0, len(body), kind)]
    while inside:
        at, end, kind = inside.pop()
        while at < end:
            tag, at = _varint(body, at)
            at, size = _extent(body, at, tag & 7)
            if at + size > end:
                raise ValueError(NO_MESSAGE)
            field = kind.fields_by_number.get(tag >> 3)
            packed = field.cpp_type if field is not None and tag & 7 == _BYTES else None
            parts += size if packed in _WIDE else 1
            number_bytes += size if packed in _NUMBERS else 0
            if parts > MAX_PARTS:
                raise ValueError(f"the message has more than {MAX_PARTS} parts: send tensors as raw contents")
            if number_bytes > MAX_NUMBER_BYTES:
                most = f"{MAX_NUMBER_BYTES >> 20} MB of numbers one by one"
                raise ValueError(f"the message has more than {most}: send tensors as raw contents")
            if field is not None and field.message_type and tag & 7 == _BYTES:
                inside.append((at, at + size, field.message_type))
            at += size


def _extent(body: bytes, at: int, wire: int) -> tuple[int, int]:
    """Where the value of a field begins, and how many bytes it has."""
    if wire == _VARINT:
        return at, _varint(body, at)[1] - at
    if wire == _BYTES:
        size, at = _varint(body, at)
        return at, size
    if wire not in _SIZES:
        raise ValueError(NO_MESSAGE)
    return at, _SIZES[wire]


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    found = 0
    for place, byte in enumerate(body[at : at + _VARINT_BYTES]):
        found |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return found, at + place + 1
    raise ValueError(NO_MESSAGE)
