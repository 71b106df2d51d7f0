"""The log of changes beside a gallery, from which running model servers learn who has left."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from pipeline.domain.models import ModelType

WITHDRAWAL = b'{"withdrawn": true}'
# Milliseconds since 1970: sorted by them, keys are in the order of the changes.
_DIGITS = 15


def place_of(gallery: str) -> str:
    """The gallery's place, under the name that model servers have for faces: photos lie below it, the log of changes
    beside it.
    """
    return f"{gallery.rstrip('/')}/{ModelType.FACE.lower()}"


def withdrawals(people: Collection[str], there: Sequence[str], now: datetime) -> list[str]:
    """Keys of changes that say that these people, by `person_key`, withdrew; they sort after all that are `there`."""
    times = [int(key[:_DIGITS]) for key in there if key[:_DIGITS].isdecimal()]
    first = max([int(now.timestamp() * 1000), *(at + 1 for at in times)])
    hashes = [person.rpartition(":")[2] for person in sorted(people)]
    return [f"{first + at:0{_DIGITS}d}-{hashed}-erased-again" for at, hashed in enumerate(hashes)]


def named_in(change: bytes) -> str:
    """The person a change names; empty when it names nobody."""
    try:
        said = json.loads(change)
    except ValueError:
        return ""
    return str(said.get("name") or "") if isinstance(said, dict) else ""
