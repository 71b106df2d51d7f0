"""The event that comes in: a branch manager's confirmation of one task (specification §2.1)."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from include.contract.photo import BadPhotoAddress, PhotoAddress
from pipeline.domain.event_bounds import (
    EARLIEST,
    MAX_BODY_BYTES,
    InvalidEvent,
    demand_lengths,
    demand_storable,
)
from pipeline.domain.models import ModelType

# For each verdict the word for places without Korean letters; models answer in this order.
DEFECTIVE = "불량"
ENGLISH = {"양호": "good", DEFECTIVE: "defective"}
LABELS = tuple(ENGLISH)
MAX_CLOCK_SKEW = timedelta(minutes=5)

_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
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


@dataclass(frozen=True, slots=True)
class TaskConfirmedEvent:
    """A branch manager's confirmation of one task.

    `key` identifies the confirmation, however often and in whatever message it comes: a hash of task, instant and both
    results. A broker's message id would not do: a sender that tries again may choose another, or one id for two.
    `extra` keeps fields this version does not know; `traceparent` came beside the event, not in it: the trace that the
    confirmation began.
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
    traceparent: str | None = None


def parse_task_confirmed(body: bytes, *, now: datetime, photo_buckets: frozenset[str]) -> TaskConfirmedEvent:
    """Read one broker message.

    Raises `InvalidEvent` with a sentence that names the field and the fault; never a bare `ValueError`.
    """
    return task_confirmed(decoded(body), now=now, photo_buckets=photo_buckets)


def task_confirmed(
    fields: Mapping[str, Any],
    *,
    now: datetime,
    photo_buckets: frozenset[str],
    of: ModelType = ModelType.LAUNDRY,
    labels: Sequence[str] = LABELS,
) -> TaskConfirmedEvent:
    """What the fields of a message say of a verdict by a model of that type, which is one of `labels`; raises as
    `parse_task_confirmed`.
    """
    extra = {name: value for name, value in fields.items() if name not in _KNOWN}
    _check_types(fields)
    demand_lengths(fields, extra)
    _demand_of(of, fields)
    _check_values(fields, labels)
    confirmed_at = _timestamp(fields["timestamp"], now)
    return TaskConfirmedEvent(
        key=_key(fields, confirmed_at),
        task_id=fields["taskId"],
        helper_id=fields["helperId"],
        ai_result=fields["aiResult"],
        final_result=fields["finalResult"],
        corrected=fields["corrected"],
        correction_reason=fields.get("correctionReason"),
        photo_url=_photo_url(fields["photoUrl"], photo_buckets),
        confirmed_at=confirmed_at,
        # Who says nothing says that none is known, as who leaves the field out.
        model_version=fields.get("modelVersion") or None,
        extra=extra,
    )


def decoded(body: bytes) -> dict[str, Any]:
    """The fields of a message. Raises `InvalidEvent`."""
    if len(body) > MAX_BODY_BYTES:
        raise InvalidEvent(f"body of {len(body)} bytes is over the limit of {MAX_BODY_BYTES}")
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
    demand_storable(fields)
    return fields


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


def _demand_of(wanted: ModelType, fields: Mapping[str, Any]) -> None:
    """One model must not learn from what people said of another one."""
    model_type = fields.get("modelType", ModelType.LAUNDRY)
    if model_type != wanted:
        raise InvalidEvent(f"modelType is {str(model_type)[:80]!r}, expected {' or '.join(ModelType)}")


def _check_values(fields: Mapping[str, Any], labels: Sequence[str]) -> None:
    if fields["eventType"] != "TaskConfirmedEvent":
        raise InvalidEvent(f"eventType is {fields['eventType'][:80]!r}, expected 'TaskConfirmedEvent'")
    for name in ("taskId", "helperId"):
        if not _TASK_ID.fullmatch(fields[name]):
            raise InvalidEvent(f"field {name} {fields[name][:80]!r} is not an identifier of letters, digits or ._:-")
    for name in ("finalResult", "aiResult"):
        if fields[name] not in labels:
            raise InvalidEvent(f"field {name} {fields[name][:80]!r} is not one of {', '.join(labels)}")
    if fields["corrected"] != (fields["finalResult"] != fields["aiResult"]):
        raise InvalidEvent(
            f"corrected is {fields['corrected']} but aiResult {fields['aiResult']} "
            f"and finalResult {fields['finalResult']} say otherwise"
        )


def _photo_url(url: str, buckets: frozenset[str]) -> str:
    try:
        return str(PhotoAddress.parse(url, buckets))
    except BadPhotoAddress as error:
        raise InvalidEvent(f"field photoUrl {error}") from None


def _timestamp(text: str, now: datetime) -> datetime:
    """In UTC, because PostgreSQL refuses some zones that RFC 3339 allows. RFC 3339's lower-case `z` is taken, too."""
    said = f"field timestamp {text[:60]!r}"
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError:
        raise InvalidEvent(f"{said} is not ISO 8601") from None
    if at.tzinfo is None:
        raise InvalidEvent(f"{said} has no time zone")
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        raise InvalidEvent(f"{said} is in no year that there is") from None
    if at > now + MAX_CLOCK_SKEW:
        raise InvalidEvent(f"{said} is in the future (now {now.isoformat(timespec='seconds')})")
    if at < EARLIEST:
        raise InvalidEvent(f"{said} is before {EARLIEST.date()}")
    return at


def _key(fields: Mapping[str, Any], confirmed_at: datetime) -> str:
    """Migration 0009 made the keys of earlier rows in the same way."""
    at = confirmed_at.isoformat(timespec="microseconds")
    said = "\n".join((fields["taskId"], at, fields["aiResult"], fields["finalResult"]))
    return hashlib.sha256(said.encode()).hexdigest()
