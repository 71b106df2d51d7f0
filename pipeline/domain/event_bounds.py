"""How large a confirmation may be, so that tables and indexes can hold it. The CHECKs of `task_confirmations` say the
same.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from include.contract.photo import MAX_ADDRESS_CHARACTERS


class InvalidEvent(ValueError):
    """A message that is no usable `TaskConfirmedEvent`; the text names what is wrong."""


@dataclass(frozen=True)
class Length:
    """In characters."""

    at_least: int
    at_most: int


MAX_BODY_BYTES = 256 * 1024
MAX_DEPTH = 16
"""Levels of lists and objects within one field."""
MAX_EXTRA_BYTES = 16 * 1024
"""All unknown fields together, as PostgreSQL writes them."""
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
LENGTHS: Mapping[str, Length] = {
    "taskId": Length(1, 128),
    "helperId": Length(1, 128),
    "finalResult": Length(1, 40),
    "aiResult": Length(1, 40),
    "correctionReason": Length(0, 4000),
    # Erasing a photo leaves none.
    "photoUrl": Length(0, MAX_ADDRESS_CHARACTERS),
    "modelVersion": Length(0, 128),
}


def demand_storable(fields: Mapping[str, Any]) -> None:
    """JSON can say things that no database can store. Raises `InvalidEvent` for them; never a `RecursionError`."""
    for value, depth in _within(fields):
        if isinstance(value, Mapping | list) and depth > MAX_DEPTH:
            raise InvalidEvent(f"body is nested too deeply: a field may have {MAX_DEPTH} levels")
        if isinstance(value, str):
            _demand_text(value)
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidEvent("body contains a number beyond all bounds")


def demand_lengths(fields: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
    """Raises `InvalidEvent`, which names the field. Null has no length."""
    for name, allowed in LENGTHS.items():
        length = allowed.at_least if fields.get(name) is None else len(fields[name])
        if not allowed.at_least <= length <= allowed.at_most:
            bounds = f"{allowed.at_least} to {allowed.at_most}"
            raise InvalidEvent(f"field {name} has {length} characters, {bounds} are allowed")
    if (size := stored_bytes(extra)) > MAX_EXTRA_BYTES:
        raise InvalidEvent(f"unknown fields take {size} bytes, {MAX_EXTRA_BYTES} are kept: {', '.join(extra)[:80]}")


def stored_bytes(extra: Mapping[str, Any]) -> int:
    """Bytes of the fields' text in a `jsonb` column, which writes no exponents."""
    exponents = sum(len(f"{Decimal(repr(x)):f}") - len(repr(x)) for x, _ in _within(extra) if isinstance(x, float))
    return len(json.dumps(extra, ensure_ascii=False).encode()) + exponents


def _demand_text(text: str) -> None:
    if "\0" in text:
        raise InvalidEvent("body contains a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidEvent("body contains half a surrogate pair") from None


def _within(value: Any) -> Iterator[tuple[Any, int]]:
    """Every value and every name in `value`, itself included, each with its depth: in how many lists and objects it
    lies.
    """
    waiting = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        yield one, depth
        if isinstance(one, Mapping):
            waiting += [(part, depth + 1) for item in one.items() for part in item]
        elif isinstance(one, list):
            waiting += [(part, depth + 1) for part in one]
