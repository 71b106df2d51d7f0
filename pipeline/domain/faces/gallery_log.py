"""The log of changes beside a gallery, by which running model servers learn who is there no more."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from pipeline.domain.models import ModelType

WITHDRAWAL = b'{"withdrawn": true}'
# Milliseconds since 1970, by which keys are in the order of changes.
_DIGITS = 15


def place_of(gallery: str) -> str:
    """Of faces, by the name that model servers have for them: photos lie below it, and what is told of them beside."""
    return f"{gallery.rstrip('/')}/{ModelType.FACE.lower()}"


def withdrawals(people: Collection[str], there: Sequence[str], now: datetime) -> list[str]:
    """Keys of changes that say of these people, by `person_key`, that they withdrew: after all that are `there`."""
    times = [int(key[:_DIGITS]) for key in there if key[:_DIGITS].isdecimal()]
    first = max([int(now.timestamp() * 1000), *(at + 1 for at in times)])
    hashes = [person.rpartition(":")[2] for person in sorted(people)]
    return [f"{first + at:0{_DIGITS}d}-{hashed}-erased-again" for at, hashed in enumerate(hashes)]


def named_in(change: bytes) -> str:
    """Whom a change names; empty for nobody."""
    try:
        said = json.loads(change)
    except ValueError:
        return ""
    return str(said.get("name") or "") if isinstance(said, dict) else ""
