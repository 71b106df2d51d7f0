"""An object store that waits out an outage: one minute without storage must not end hours of training."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import stamina

from pipeline.domain.errors import ServiceUnavailable
from pipeline.ports.data import ObjectStore

T = TypeVar("T")

_LONGEST_PAUSE_SECONDS = 10.0


class PatientObjectStore:
    """Tries again for `patience_seconds`, then raises `ServiceUnavailable` as the store it wraps does."""

    def __init__(self, objects: ObjectStore, *, patience_seconds: float = 180.0) -> None:
        self._objects = objects
        self._patient = stamina.RetryingCaller(
            attempts=None,
            timeout=timedelta(seconds=patience_seconds),
            wait_initial=0.5,
            wait_max=_LONGEST_PAUSE_SECONDS,
        )

    def read(self, uri: str) -> bytes:
        return self._call(lambda: self._objects.read(uri))

    def write(self, uri: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        self._call(lambda: self._objects.write(uri, body, content_type))

    def exists(self, uri: str) -> bool:
        return self._call(lambda: self._objects.exists(uri))

    def _call(self, act: Callable[[], T]) -> T:
        return self._patient(ServiceUnavailable, act)
