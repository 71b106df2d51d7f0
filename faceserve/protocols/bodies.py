"""Bodies of HTTP requests: a byte counts as held when it is there, not when it is announced."""

import asyncio
import zlib
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request

from faceserve.errors import BadRequest
from faceserve.inference.admission import Held

JSON_BYTES = "Inference-Header-Content-Length"
_COMPRESSED = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_MAX_ENCODINGS = 2
_PIECE_BYTES = 1 << 20
# As in 64 bits; Python itself refuses to read thousands of digits.
_MAX_DIGITS = 18


async def received(request: Request, held: Held, most: int, seconds: float) -> bytes:
    """Raises `Overloaded`, and `HTTPException` for more than `most` bytes, or when they take longer than `seconds`."""
    said = request.headers.get("content-length", "")
    if _is_number(said) and int(said) > most:
        raise _too_large(most)
    try:
        return await asyncio.wait_for(_received(request, held, most), seconds)
    except TimeoutError:
        late = f"the request did not arrive within {seconds:g} s"
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, late) from None


def unpacked(body: bytes, encoding: str, held: Held, most: int) -> bytes:
    """Raises `Overloaded`, and `BadRequest`, also for what would become too large."""
    encodings = [one.strip().lower() for one in encoding.split(",")]
    for name in reversed([one for one in encodings if one not in {"", "identity"}][:_MAX_ENCODINGS]):
        if name not in _COMPRESSED:
            raise BadRequest(f"content encoding {name[:40]!r} is unknown, only {', '.join(_COMPRESSED)}")
        try:
            body = _unpacked(body, name, held, most)
        except zlib.error as error:
            raise BadRequest(f"the body is no {name}: {error}") from None
    return body


def json_bytes(request: Request) -> int | None:
    """How much of the body is JSON, if the request says so. Raises `BadRequest`."""
    said = request.headers.get(JSON_BYTES)
    if said is None:
        return None
    if not _is_number(said):
        raise BadRequest(f"header {JSON_BYTES} must be a number of bytes")
    return int(said)


async def _received(request: Request, held: Held, most: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        if len(body) + len(piece) > most:
            raise _too_large(most)
        held.add(len(piece))
        body += piece
    return bytes(body)


def _unpacked(body: bytes, name: str, held: Held, most: int) -> bytes:
    """A gzip may have several members, one after the other (RFC 1952); nothing that is sent is left unread."""
    found = bytearray()
    while True:
        unpacking = zlib.decompressobj(_COMPRESSED[name])
        while not unpacking.eof:
            piece = unpacking.decompress(body, _PIECE_BYTES)
            body = unpacking.unconsumed_tail
            if not piece and not body and not unpacking.eof:
                raise BadRequest(f"the body ends in the middle of its {name}")
            if len(found) + len(piece) > most:
                raise BadRequest(f"the body has more than {most} bytes when it is unpacked")
            held.add(len(piece))
            found += piece
        body = unpacking.unused_data
        if not body:
            return bytes(found)
        if name != "gzip":
            raise BadRequest(f"{len(body)} bytes come after the end of the {name}")


def _is_number(said: str) -> bool:
    return said.isdecimal() and len(said) <= _MAX_DIGITS


def _too_large(most: int) -> HTTPException:
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the request is larger than {most} bytes")
