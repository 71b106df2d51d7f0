"""Photos that requests name by their place: fetched aside, so that a slow store delays nobody else, and none long."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from faceserve.errors import Overloaded, StorageUnavailable
from faceserve.inference.admission import Admission, Held
from faceserve.inference.apart import aside
from faceserve.storage import Source

MAX_PHOTO_BYTES = 32 << 20


@dataclass(frozen=True)
class Fetching:
    """At most `places` objects at once, none larger than a photo may be, each within `seconds`.

    What a store does not send in time keeps its place until it comes or fails, but nobody waits for it. What has come
    counts with `admission` as what comes along with requests does.
    """

    source: Source
    admission: Admission
    places: int = 16
    seconds: float = 5.0
    _free: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_free", threading.BoundedSemaphore(self.places))

    @contextmanager
    def photo(self, uri: str) -> Iterator[bytes]:
        """It counts until it is left. Raises `FileNotFoundError`, `StorageUnavailable`, `TooLarge` or `Overloaded`."""
        found: Future[bytes] = Future()
        with ExitStack() as counted:
            held = counted.enter_context(self.admission.arriving())
            self._begin(uri, held, found)
            # A photo that arrives when nobody waits any more also counts until it is dropped.
            uncount = counted.pop_all().close
        try:
            yield found.result(self.seconds)
        except TimeoutError:
            raise StorageUnavailable(f"{uri} did not come within {self.seconds:g} s") from None
        finally:
            found.add_done_callback(lambda _: uncount())

    def _begin(self, uri: str, held: Held, found: "Future[bytes]") -> None:
        if not self._free.acquire(blocking=False):
            raise Overloaded(f"{self.places} photos are being fetched: ask another replica or later")
        try:
            aside("fetch", self._fetch, uri, held, found)
        except Overloaded:
            self._free.release()
            raise

    def _fetch(self, uri: str, held: Held, found: "Future[bytes]") -> None:
        try:
            photo = self._collected(uri, held)
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            self._free.release()
            # The traceback refers to what has arrived of the photo.
            found.set_exception(error.with_traceback(None))
        else:
            self._free.release()
            found.set_result(photo)

    def _collected(self, uri: str, held: Held) -> bytes:
        photo = bytearray()
        for piece in self.source.chunks(uri, MAX_PHOTO_BYTES):
            held.add(len(piece))
            photo += piece
        return bytes(photo)
