"""Photos that requests name by their place: fetched in places of their own, so that a slow store delays nobody else."""

import threading
from dataclasses import dataclass, field

from faceserve.errors import Overloaded
from faceserve.storage import Source

MAX_PHOTO_BYTES = 32 << 20


@dataclass(frozen=True)
class Fetching:
    """Reads from `source` at most `places` objects at once, none larger than a photo may be."""

    source: Source
    places: int = 16
    _free: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_free", threading.BoundedSemaphore(self.places))

    def read(self, uri: str, at_most_bytes: int = MAX_PHOTO_BYTES) -> bytes:
        """Raises `FileNotFoundError`, `StorageUnavailable`, `TooLarge` or `Overloaded`."""
        if not self._free.acquire(blocking=False):
            raise Overloaded(f"{self.places} photos are being fetched: ask another replica or later")
        try:
            return self.source.read(uri, at_most_bytes)
        finally:
            self._free.release()
