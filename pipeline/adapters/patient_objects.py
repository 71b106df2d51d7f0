"""Stores that wait out an outage: a minute without storage must not end hours of training, and a photo that storage
fails on for a moment must not count as damaged.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import stamina

from pipeline.domain.errors import ServiceUnavailable
from pipeline.ports.data import ObjectStore, PhotoStore

T = TypeVar("T")

_LONGEST_PAUSE_SECONDS = 10.0


class PatientObjectStore:
    """Tries again for `patience_seconds`, then raises `ServiceUnavailable` as the store it wraps does."""

    def __init__(self, objects: ObjectStore, *, patience_seconds: float = 180.0) -> None:
        self._objects = objects
        self._patient = _patient(patience_seconds)

    def read(self, uri: str) -> bytes:
        return self._call(lambda: self._objects.read(uri))

    def write(self, uri: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        self._call(lambda: self._objects.write(uri, body, content_type))

    def exists(self, uri: str) -> bool:
        return self._call(lambda: self._objects.exists(uri))

    def _call(self, act: Callable[[], T]) -> T:
        return self._patient(ServiceUnavailable, act)


class PatientPhotoStore:
    """Tries again for `patience_seconds`, then raises `ServiceUnavailable`; faults of the photo itself are raised at
    once.
    """

    def __init__(self, photos: PhotoStore, *, patience_seconds: float = 60.0) -> None:
        self._photos = photos
        self._patient = _patient(patience_seconds)

    def read(self, url: str) -> bytes:
        return self._patient(ServiceUnavailable, self._photos.read, url)


def _patient(seconds: float) -> stamina.RetryingCaller:
    return stamina.RetryingCaller(
        attempts=None,
        timeout=timedelta(seconds=seconds),
        wait_initial=0.5,
        wait_max=_LONGEST_PAUSE_SECONDS,
    )
