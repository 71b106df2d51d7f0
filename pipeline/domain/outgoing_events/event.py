"""What every event that goes out has, and the one way each becomes JSON (specification §2.2, §9).

The name of a class is the event's type and its routing key; names of fields become the payload's `camelCase`.
"""

import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pipeline.domain.transitions import storable


@dataclass(frozen=True)
class OutgoingEvent:
    """A model event on its way out: `payload` is the JSON object the specification shows."""

    id: str
    type: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelEvent:
    """`id` makes it happen once, however often it is told: it contains the occasion, not only the object."""

    id: str

    derived: ClassVar[tuple[str, ...]] = ()
    """Properties that are told as well."""

    def outgoing(self) -> OutgoingEvent:
        told = [f.name for f in fields(self) if f.name != "id" and not self._left_out(f)]
        payload = {_camel(name): _wire(getattr(self, name)) for name in (*told, *self.derived)}
        return OutgoingEvent(self.id, type(self).__name__, {"eventType": type(self).__name__, **payload})

    def _left_out(self, told: "Field[Any]") -> bool:
        return bool(told.metadata.get("optional")) and getattr(self, told.name) is None


@dataclass(frozen=True, kw_only=True)
class OfModelType(ModelEvent):
    """An event about the models of one type."""

    model_type: str


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def _wire(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.1f}s"
    if isinstance(value, tuple):
        return [_wire(one) for one in value]
    return storable(value) if isinstance(value, str) else value
