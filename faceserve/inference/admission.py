"""How many requests are worked on or wait at once, and how many bytes they hold; more are refused at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from faceserve.errors import Overloaded


class Admission:
    def __init__(self, max_requests: int, max_bytes: float = float("inf")) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = self._bytes = 0
        self._lock = threading.Lock()

    @contextmanager
    def admitted(self, size_bytes: int = 0) -> Iterator[None]:
        """Before any work is put into a request of so many bytes. Raises `Overloaded`."""
        with self._lock:
            if self._requests >= self._max_requests or self._bytes + size_bytes > self._max_bytes:
                held = f"{self._requests} requests with {self._bytes >> 20} MB"
                raise Overloaded(f"{held} are being worked on or wait: ask another replica or later")
            self._requests += 1
            self._bytes += size_bytes
        try:
            yield
        finally:
            with self._lock:
                self._requests -= 1
                self._bytes -= size_bytes
