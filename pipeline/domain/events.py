"""The event that comes in: a branch manager's confirmation of one task (specification §2.1)."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

# Of each verdict the word for places without Korean letters; models answer in this order.
DEFECTIVE = "불량"
ENGLISH = {"양호": "good", DEFECTIVE: "defective"}
LABELS = tuple(ENGLISH)
MAX_BODY_BYTES = 256 * 1024
MAX_CLOCK_SKEW = timedelta(minutes=5)
EARLIEST = datetime.fromisoformat("2020-01-01T00:00:00+00:00")

_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_PHOTO_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([A-Za-z0-9][A-Za-z0-9._/-]{0,511})")
_REQUIRED: Mapping[str, type] = {
    "eventType": str,
    "taskId": str,
    "helperId": str,
    "finalResult": str,
    "aiResult": str,
    "corrected": bool,
    "photoUrl": str,
    "timestamp": str,
}
_KNOWN = {*_REQUIRED, "correctionReason", "modelVersion"}
_MAX_REASON_CHARACTERS = 4000


class InvalidEvent(ValueError):
    """A message that is no usable `TaskConfirmedEvent`; the text names what is wrong."""


@dataclass(frozen=True, slots=True)
class TaskConfirmedEvent:
    """A branch manager's confirmation of one task.

    `key` identifies the confirmation across redeliveries: the broker's message id when there is one, else a
    hash of task id and timestamp (design D10). `extra` keeps fields this version does not know.
    """

    key: str
    task_id: str
    helper_id: str
    ai_result: str
    final_result: str
    corrected: bool
    correction_reason: str | None
    photo_url: str
    confirmed_at: datetime
    model_version: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def parse_task_confirmed(
    body: bytes, *, message_id: str | None, now: datetime, photo_buckets: frozenset[str]
) -> TaskConfirmedEvent:
    """Read one broker message.

    Raises `InvalidEvent` with a sentence that names the field and the fault; never a bare `ValueError`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidEvent(f"body of {len(body)} bytes is over the limit of {MAX_BODY_BYTES}")
    fields = _decode(body)
    _check_types(fields)
    _check_values(fields)
    return TaskConfirmedEvent(
        key=_key(message_id, fields),
        task_id=fields["taskId"],
        helper_id=fields["helperId"],
        ai_result=fields["aiResult"],
        final_result=fields["finalResult"],
        corrected=fields["corrected"],
        correction_reason=fields.get("correctionReason"),
        photo_url=_photo_url(fields["photoUrl"], photo_buckets),
        confirmed_at=_timestamp(fields["timestamp"], now),
        model_version=fields.get("modelVersion"),
        extra={name: value for name, value in fields.items() if name not in _KNOWN},
    )


def _decode(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidEvent(f"body is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidEvent("body is nested too deeply") from None
    except ValueError as error:
        raise InvalidEvent(f"body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidEvent(f"body is a JSON {type(fields).__name__}, expected an object")
    if b"\\u0000" in body:
        raise InvalidEvent("body contains a NUL character")
    _demand_storable(fields)
    return fields


def _demand_storable(fields: dict[str, Any]) -> None:
    """Python reads what no database keeps: 1e999 as infinity, half a surrogate pair as a character."""
    try:
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise InvalidEvent("body contains half a surrogate pair") from None
    except ValueError:
        raise InvalidEvent("body contains a number beyond all bounds") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _check_types(fields: Mapping[str, Any]) -> None:
    for name, expected in _REQUIRED.items():
        if name not in fields:
            raise InvalidEvent(f"field {name} is missing")
        if type(fields[name]) is not expected:
            raise InvalidEvent(f"field {name} is {type(fields[name]).__name__}, expected {expected.__name__}")
    for name in ("correctionReason", "modelVersion"):
        if not isinstance(fields.get(name), str | None):
            raise InvalidEvent(f"field {name} is {type(fields[name]).__name__}, expected str or null")


def _check_values(fields: Mapping[str, Any]) -> None:
    if fields["eventType"] != "TaskConfirmedEvent":
        raise InvalidEvent(f"eventType is {fields['eventType'][:80]!r}, expected 'TaskConfirmedEvent'")
    for name in ("taskId", "helperId"):
        if not _TASK_ID.fullmatch(fields[name]):
            raise InvalidEvent(
                f"field {name} {fields[name][:80]!r} is not an identifier of 1-128 letters, digits or ._:-"
            )
    for name in ("finalResult", "aiResult"):
        if fields[name] not in LABELS:
            raise InvalidEvent(f"field {name} {fields[name][:80]!r} is not one of {', '.join(LABELS)}")
    if fields["corrected"] != (fields["finalResult"] != fields["aiResult"]):
        raise InvalidEvent(
            f"corrected is {fields['corrected']} but aiResult {fields['aiResult']} "
            f"and finalResult {fields['finalResult']} say otherwise"
        )
    if len(fields.get("correctionReason") or "") > _MAX_REASON_CHARACTERS:
        raise InvalidEvent(f"field correctionReason is longer than {_MAX_REASON_CHARACTERS} characters")


def _photo_url(url: str, buckets: frozenset[str]) -> str:
    match = _PHOTO_URL.fullmatch(url)
    if match is None or ".." in url:
        raise InvalidEvent(f"field photoUrl {url[:120]!r} is not s3://bucket/key with plain characters")
    if match[1] not in buckets:
        raise InvalidEvent(f"field photoUrl names bucket {match[1]!r}, allowed: {', '.join(sorted(buckets))}")
    return url


def _timestamp(text: str, now: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidEvent(f"field timestamp {text[:60]!r} is not ISO 8601") from None
    if at.tzinfo is None:
        raise InvalidEvent(f"field timestamp {text!r} has no time zone")
    if at > now + MAX_CLOCK_SKEW:
        raise InvalidEvent(f"field timestamp {text} is in the future (now {now.isoformat(timespec='seconds')})")
    if at < EARLIEST:
        raise InvalidEvent(f"field timestamp {text} is before {EARLIEST.date()}")
    return at


def _key(message_id: str | None, fields: Mapping[str, Any]) -> str:
    if message_id and len(message_id) <= 128 and message_id.isprintable():
        return message_id
    return hashlib.sha256(f"{fields['taskId']}\n{fields['timestamp']}".encode()).hexdigest()
