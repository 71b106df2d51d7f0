"""Messages, each with what has to become of it between good ones."""

import json
import random
import string
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.builders import event_body
from tests.corpus.amqp import header, nested, properties, table
from tests.corpus.photos import ODD_KEYS


@dataclass(frozen=True)
class Odd:
    """It ends in the table when `because` is None, else in the dead-letter queue with a reason that says so.

    `properties` are its AMQP properties as bytes. `task_id` is what its row has, when it gets one.
    """

    body: bytes
    because: str | None = None
    properties: bytes = b"\0\0"
    task_id: str = ""


POISON_MESSAGES: tuple[tuple[bytes, str], ...] = (
    (b"", "not JSON"),
    (b"hello", "not JSON"),
    (b"[]", "JSON list"),
    (b"null", "JSON NoneType"),
    (b"\xff\xfe{}", "not UTF-8"),
    (b"\xef\xbb\xbf{}", "not JSON"),
    (b"[" * 10_000, "nested too deeply"),
    (b'{"a":' * 10_000, "nested too deeply"),
    (b'{"x": NaN}', "NaN is no JSON number"),
    (event_body(weight="?").replace(b'"?"', b"1e999"), "beyond all bounds"),
    (event_body(correctionReason="\\ud800").replace(b"\\\\u", b"\\u"), "half a surrogate pair"),
    (b"{" + b" " * 10_000_000 + b"}", "over the limit"),
    (event_body(taskId="A\x00B"), "NUL"),
    (event_body(eventType="TaskCreatedEvent"), "eventType"),
    (event_body(corrected="true"), "corrected is str, expected bool"),
    (event_body(corrected=1), "corrected is int, expected bool"),
    (event_body(finalResult="보통"), "finalResult '보통' is not one of 양호, 불량"),
    (event_body(corrected=False), "say otherwise"),
    (event_body(aiResult="양호"), "say otherwise"),
    (event_body(timestamp="2026-05-04T11:30:00"), "no time zone"),
    (event_body(timestamp="1970-01-01T00:00:00Z"), "before 2020"),
    (event_body(timestamp="2970-01-01T00:00:00Z"), "in the future"),
    (event_body(timestamp="yesterday"), "not ISO 8601"),
    (event_body(taskId=""), "taskId"),
    (event_body(taskId="x" * 10_000), "taskId"),
    (event_body(taskId="a\nb"), "taskId"),
    (event_body(taskId="../etc"), "taskId"),
    (event_body(taskId="TASK'; DROP TABLE"), "taskId"),
    (event_body(taskId="🧺"), "taskId"),
    (event_body(photoUrl="http://example.org/a.jpg"), "photoUrl"),
    (event_body(photoUrl="file:///etc/passwd"), "photoUrl"),
    (event_body(photoUrl="s3://secrets/a.jpg"), "photoUrl 's3://secrets/a.jpg' is not in an allowed bucket (tasks)"),
    (event_body(photoUrl="s3://tasks/../x"), "photoUrl"),
    (event_body(photoUrl="s3://tasks/a/../x"), "photoUrl"),
    (event_body(photoUrl="s3://tasks"), "photoUrl"),
    (event_body(photoUrl="s3://tasks/"), "photoUrl"),
    (event_body(photoUrl="s3://tasks/.."), "photoUrl"),
    (event_body(photoUrl="s3://tasks/" + "얼" * 342), "no key that S3 could have"),
    (event_body(correctionReason="a" * 1_000_000), "over the limit"),
    (event_body(correctionReason="a" * 5000), "correctionReason has 5000 characters"),
    (event_body(correctionReason=7), "correctionReason is int"),
)


def _good(task_id: str, **changes: Any) -> bytes:
    return event_body(taskId=task_id, **changes)


def _deep(levels: int) -> Any:
    return [_deep(levels - 1)] if levels else 1


def _noise(characters: int) -> str:
    """What does not become smaller when it is packed."""
    return "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=characters))


def _unknown(size: int) -> str:
    """A text that makes a field `x` of `size` bytes."""
    return "x" * (size - len(json.dumps({"x": ""})))


# What the fields may be, at most.
_KEPT: dict[str, dict[str, Any]] = {
    "zone-of-the-far-east": {"timestamp": "2026-05-04T14:30:00+16:00"},
    "zone-of-the-far-west": {"timestamp": "2026-05-03T11:30:00-23:59"},
    "zone-zero": {"timestamp": "2026-05-04T11:30:00+00:00"},
    "small-z": {"timestamp": "2026-05-04T11:30:00z"},
    "small-t-and-z": {"timestamp": "2026-05-04t11:30:00z"},
    "nanoseconds": {"timestamp": "2026-05-04T11:30:00.123456789Z"},
    "reason-of-emoji": {"correctionReason": "🧺" * 4000},
    "reason-none": {"correctionReason": None},
    "reason-hostile": {"correctionReason": "<script>alert(1)</script>\x1b[31m\nERROR forged'; DROP TABLE x; --"},
    "version-of-hangul": {"modelVersion": "가" * 128},
    "version-empty": {"modelVersion": ""},
    "helper-of-128": {"helperId": "h" * 128},
    "photo-of-1024": {"photoUrl": "s3://tasks/" + "p" * 1024},
    "unknown-fields": {"branch": "강남점", "score": 0.4, "tags": ["a", {"b": None}]},
    "unknown-backslash-text": {"a": "\\u0000"},
    "unknown-of-16-levels": {"a": _deep(16)},
    "unknown-of-16-kib": {"x": _unknown(16 * 1024)},
    "unknown-largest-number": {"a": 1.7976931348623157e308, "b": -5e-324, "c": 10**4000},
    "unknown-odd-names": {"": 1, "🧺" * 100: 2, "a\nb": 3},
    "audit-of-another-kind": {"blindAudit": ["true"]},
}
_REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "version-of-6000": ({"modelVersion": _noise(6000)}, "modelVersion has 6000 characters"),
    "version-of-129": ({"modelVersion": "v" * 129}, "modelVersion has 129 characters"),
    "helper-of-129": ({"helperId": "h" * 129}, "helperId has 129 characters"),
    "photo-too-long": ({"photoUrl": "s3://tasks/" + "p" * 1083}, "photoUrl has 1094 characters"),
    "unknown-of-17-levels": ({"a": _deep(17)}, "nested too deeply"),
    "unknown-of-988-levels": ({"a": _deep(900)}, "nested too deeply"),
    "unknown-over-16-kib": ({"x": _unknown(16 * 1024 + 1)}, "unknown fields take 16385 bytes"),
    "unknown-numbers-with-exponents": ({"a": [1e300] * 60}, "unknown fields take"),
    "unknown-nul-in-a-name": ({"a\0": 1}, "NUL"),
    "reason-nul": ({"correctionReason": "a\0b"}, "NUL"),
    "before-the-first-year": ({"timestamp": "0001-01-01T00:00:00+10:00"}, "in no year"),
    "after-the-last-year": ({"timestamp": "9999-12-31T23:59:59-10:00"}, "in no year"),
    "day-without-hour": ({"timestamp": "2026-05-04"}, "no time zone"),
    "thirteenth-month": ({"timestamp": "2026-13-04T00:00:00Z"}, "not ISO 8601"),
    "task-with-line-end": ({"taskId": "TASK-1\n"}, "taskId"),
    "task-with-wide-digits": ({"taskId": "TASK-１"}, "taskId"),
    "labels-of-another-language": ({"finalResult": "good", "corrected": True}, "finalResult 'good'"),
    "event-of-another-type": ({"eventType": ["TaskConfirmedEvent"]}, "eventType is list"),
}
# Properties that a client may write; the body is good.
_READABLE: dict[str, bytes] = {
    "id-of-255": properties(message_id=b"i" * 255),
    "id-no-utf-8": properties(message_id=b"\xff\xfe"),
    "id-nul": properties(message_id=b"a\0b"),
    "id-empty": properties(message_id=b""),
    "type-no-utf-8": properties(type=b"\xff", app_id=b"\xfe", content_type=b"\xfd"),
    "says-gzip": properties(content_encoding=b"gzip", content_type=b"application/pdf"),
    "reason-forged": properties(headers=table(header(b"S", struct.pack(">I", 3) + b"lie", b"x-reason"))),
    "death-forged": properties(headers=table(header(b"S", struct.pack(">I", 3) + b"lie", b"x-death"))),
    "count-forged": properties(headers=table(header(b"l", struct.pack(">q", 10**9), b"x-delivery-count"))),
    "header-of-bytes": properties(headers=table(header(b"x", struct.pack(">I", 3) + b"\xff\0\xfe", b"\xff"))),
    "headers-of-20-levels": properties(headers=nested(20)),
}
# Properties that a client may write, and ours cannot read. (A number that is none, the broker cannot read either.)
_UNREADABLE: dict[str, bytes] = {
    "year-10000": properties(headers=table(header(b"T", struct.pack(">Q", 300_000_000_000)))),
    "year-of-no-calendar": properties(headers=table(header(b"T", struct.pack(">Q", 2**64 - 1)))),
    "year-10000-in-a-list": properties(
        headers=table(header(b"A", struct.pack(">IcQ", 9, b"T", 300_000_000_000))), message_id=b"known"
    ),
    "headers-of-5000-levels": properties(headers=nested(5000)),
}
SAME_ID = properties(message_id=b"one id for two")


def messages() -> Iterator[tuple[str, Odd]]:
    """By name; no two have the same body."""
    for number, (body, because) in enumerate(POISON_MESSAGES):
        yield f"poison-{number}", Odd(body, because)
    for name, changes in _KEPT.items():
        yield name, Odd(_good(name, **changes), task_id=name)
    for number, key in enumerate(ODD_KEYS):
        name = f"key-{number}"
        yield name, Odd(_good(name, photoUrl=f"s3://tasks/{key}"), task_id=name)
    for name, (changes, because) in _REFUSED.items():
        yield name, Odd(event_body(**{"taskId": name, **changes}), because)
    for name, raw in _READABLE.items():
        yield name, Odd(_good(name), properties=raw, task_id=name)
    for name, raw in _UNREADABLE.items():
        yield name, Odd(_good(name), "AMQP headers cannot be read", raw)
        yield f"{name}-and-no-json", Odd(f"no JSON {name}".encode(), "AMQP headers cannot be read", raw)
    for name in ("first-of-an-id", "second-of-an-id"):
        yield name, Odd(_good(name), properties=SAME_ID, task_id=name)
    yield "number-of-5000-digits", Odd(_good("digits", x=0).replace(b'"x": 0', b'"x": 1' + b"0" * 5000), "not JSON")
    yield "name-twice", Odd(_good("name-twice").replace(b"{", b'{"taskId": 7, ', 1), task_id="name-twice")
