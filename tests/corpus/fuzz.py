"""What nobody thought of: messages of any bytes, JSON, fields and AMQP headers, photos of any kind and damage, rows.

`make fuzz` draws FUZZ_EXAMPLES of each, other ones at every run.
"""

import io
import json
import os
import struct
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image

from tests.builders import event_fields
from tests.corpus.amqp import header, properties, table
from tests.corpus.json_values import ANY_JSON


def drawn(by_default: int) -> settings:
    """How many are drawn of something; the same ones at each run, unless FUZZ_EXAMPLES says how many."""
    asked = os.environ.get("FUZZ_EXAMPLES")
    return settings(
        max_examples=int(asked or by_default),
        deadline=None,
        derandomize=asked is None,
        suppress_health_check=list(HealthCheck),
    )


def _one_of(kinds: bytes) -> Any:
    return st.sampled_from([bytes([kind]) for kind in kinds])


def _bytes(size: int) -> Any:
    return st.binary(min_size=size, max_size=size)


# Kinds of header values by how many bytes they have; those of any length say it themselves.
_KINDS = {0: b"V", 1: b"tbB", 2: b"su", 4: b"Iif", 5: b"D", 8: b"ldT"}
_SIZED = st.binary(max_size=60).map(lambda content: struct.pack(">I", len(content)) + content)
_NAMES = st.binary(max_size=20) | st.sampled_from([b"x-reason", b"x-death", b"x-delivery-count", b"CC"])
_ENTRIES = st.one_of(
    *(st.builds(header, _one_of(kinds), _bytes(size), _NAMES) for size, kinds in _KINDS.items()),
    st.builds(header, _one_of(b"Sx"), _SIZED, _NAMES),
)
_TABLES = st.recursive(
    st.lists(_ENTRIES, max_size=4).map(lambda entries: table(*entries)),
    lambda inner: st.builds(lambda name, within: table(header(b"F", within, name)), _NAMES, inner),
)
_TEXTS = st.binary(max_size=255)
PROPERTIES = st.just(b"\0\0") | st.fixed_dictionaries(
    {}, optional={"headers": _TABLES, "message_id": _TEXTS, "content_type": _TEXTS, "type": _TEXTS}
).map(lambda chosen: properties(**chosen))

_KNOWN = st.fixed_dictionaries({}, optional=dict.fromkeys((*event_fields(), "modelVersion"), ANY_JSON))
_UNKNOWN = st.dictionaries(st.text(), ANY_JSON)
_EVENT = json.dumps(event_fields()).encode()
BODIES = st.one_of(
    st.binary(),
    ANY_JSON.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda known, more: json.dumps({**more, **event_fields(**known)}).encode(), _KNOWN, _UNKNOWN),
    # Of an event, some bytes more in the middle.
    st.builds(lambda at, more: _EVENT[:at] + more + _EVENT[at:], st.integers(0, len(_EVENT)), st.binary(max_size=4)),
)


# Of one colour or of noise, of every kind of pixels, in every format, also those that no decoder here is for.
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F")
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO")


@st.composite
def pictures(draw: Any) -> bytes:
    """As somebody's program might write one; what that program cannot is of another kind, and written as RGB."""
    width, height = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    noise = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(noise // draw(st.sampled_from([1, 16, 255])))
    options = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "quality": st.integers(1, 100),
                "progressive": st.booleans(),
                "lossless": st.booleans(),
                "optimize": st.booleans(),
                "exif": st.binary(max_size=60).map(lambda more: b"Exif\0\0II*\0\x08\0\0\0" + more),
                "icc_profile": st.binary(max_size=60),
                "comment": st.binary(max_size=60),
            },
        )
    )
    out = io.BytesIO()
    try:
        image.convert(draw(st.sampled_from(_MODES))).save(out, draw(st.sampled_from(_FORMATS)), **options)
    except (OSError, ValueError, SyntaxError):
        out = io.BytesIO()
        image.save(out, "PNG")
    return out.getvalue()


@st.composite
def mangled(draw: Any, whole: Any) -> bytes:
    """Bytes that were right, with some cut out, changed, doubled or put in."""
    body = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(body)))
        end = draw(st.integers(at, min(len(body), at + 40)))
        body[at:end] = draw(st.one_of(st.binary(max_size=12), st.just(bytes(body[at:end]) * 2)))
    return bytes(body)


@st.composite
def _cut_off(draw: Any, whole: Any) -> bytes:
    body: bytes = draw(whole)
    return body[: draw(st.integers(0, len(body)))]


PHOTO_BODIES = st.one_of(st.binary(max_size=200), pictures(), mangled(pictures()), _cut_off(pictures()))
