"""How many requests are worked on or wait at once, and how many bytes they hold; more are refused at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from faceserve.errors import Overloaded


class Admission:
    def __init__(self, max_requests: int, max_bytes: float = float("inf")) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = self._bytes = 0
        self._lock = threading.Lock()

    @property
    def full(self) -> str:
        """Why a further request would be refused however small it is, or nothing."""
        return self._held() if self._requests >= self._max_requests else ""

    @contextmanager
    def admitted(self, size_bytes: int = 0) -> Iterator[None]:
        """Before any work is put into a request of so many bytes. Raises `Overloaded`."""
        self._take(1, size_bytes)
        try:
            yield
        finally:
            self._free(1, size_bytes)

    @contextmanager
    def arriving(self) -> Iterator["Held"]:
        """A request of which nothing is there yet; it takes no place among those that are worked on."""
        held = Held(self)
        try:
            yield held
        finally:
            self._free(0, held.size_bytes)

    def _take(self, requests: int, size_bytes: int) -> None:
        with self._lock:
            if self._requests + requests > self._max_requests or self._bytes + size_bytes > self._max_bytes:
                raise Overloaded(self._held())
            self._requests += requests
            self._bytes += size_bytes

    def _held(self) -> str:
        held = f"{self._requests} requests with {self._bytes >> 20} MB"
        return f"{held} are being worked on or wait: ask another replica or later"

    def _free(self, requests: int, size_bytes: int) -> None:
        with self._lock:
            self._requests -= requests
            self._bytes -= size_bytes


@dataclass
class Held:
    """What has come of a request."""

    _admission: Admission
    size_bytes: int = 0

    def add(self, size_bytes: int) -> None:
        """Raises `Overloaded` when there is no room for so many bytes more."""
        self._admission._take(0, size_bytes)
        self.size_bytes += size_bytes
