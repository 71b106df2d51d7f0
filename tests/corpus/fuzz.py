"""Messages that nobody thought of: any bytes, any JSON, events with odd fields, any AMQP headers."""

import json
import struct
from typing import Any

from hypothesis import strategies as st

from tests.builders import event_fields
from tests.corpus.amqp import header, properties, table
from tests.corpus.json_values import ANY_JSON


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
