"""Photos that requests name by their place: fetched aside, so that a slow store delays nobody else, and none long."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from faceserve.errors import Overloaded, StorageUnavailable
from faceserve.inference.apart import aside
from faceserve.storage import Source

MAX_PHOTO_BYTES = 32 << 20


@dataclass(frozen=True)
class Fetching:
    """At most `places` objects at once, none larger than a photo may be, each within `seconds`.

    What a store does not send in time keeps its place until it comes or fails, but nobody waits for it.
    """

    source: Source
    places: int = 16
    seconds: float = 5.0
    _free: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_free", threading.BoundedSemaphore(self.places))

    def read(self, uri: str) -> bytes:
        """Raises `FileNotFoundError`, `StorageUnavailable`, `TooLarge` or `Overloaded`."""
        if not self._free.acquire(blocking=False):
            raise Overloaded(f"{self.places} photos are being fetched: ask another replica or later")
        found: Future[bytes] = Future()
        try:
            aside("fetch", self._fetch, uri, found)
        except Overloaded:
            self._free.release()
            raise
        try:
            return found.result(self.seconds)
        except TimeoutError:
            raise StorageUnavailable(f"{uri} did not come within {self.seconds:g} s") from None

    def _fetch(self, uri: str, found: "Future[bytes]") -> None:
        try:
            found.set_result(self.source.read(uri, MAX_PHOTO_BYTES))
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            found.set_exception(error)
        finally:
            self._free.release()
