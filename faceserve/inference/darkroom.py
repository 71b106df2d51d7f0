"""Photos are decoded a few at a time: a small file may be a large picture, and many would take all memory."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from faceserve.engines.base import Images
from faceserve.errors import BadPhoto, TooLate
from faceserve.inference.photos import decoded
from include.contract.preprocessing import UnreadablePhoto, photo_size

_LOOK_SECONDS = 0.5


class Darkroom:
    """At most `pixels` are in work at once; a photo that has more than that is worked on alone."""

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._in_work = 0
        self._change = threading.Condition()

    def decoded(
        self, photos: Sequence[bytes], deadline: float = float("inf"), wanted: Callable[[], bool] = lambda: True
    ) -> Images:
        """Model input of encoded photos: uint8 RGB [N, 224, 224, 3].

        Raises `BadPhoto`, or `TooLate` when the deadline (monotonic seconds) passes or the caller goes before the last.
        """
        made = []
        for number, photo in enumerate(photos):
            try:
                with self._room(_pixels(photo), deadline, wanted):
                    made.append(decoded([photo]))
            except BadPhoto as error:
                raise BadPhoto(f"photo {number} of {len(photos)}: {error}" if len(photos) > 1 else str(error)) from None
        return np.concatenate(made)

    @contextmanager
    def _room(self, pixels: int, deadline: float, wanted: Callable[[], bool]) -> Iterator[None]:
        self._wait_for_room(pixels, deadline, wanted)
        try:
            yield
        finally:
            with self._change:
                self._in_work -= pixels
                self._change.notify_all()

    def _wait_for_room(self, pixels: int, deadline: float, wanted: Callable[[], bool]) -> None:
        while time.monotonic() < deadline and wanted():
            with self._change:
                if not self._in_work or self._in_work + pixels <= self._pixels:
                    self._in_work += pixels
                    return
                self._change.wait(min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
        raise TooLate("the deadline passed, or the caller went, before the photo was decoded")


def _pixels(photo: bytes) -> int:
    try:
        width, height = photo_size(photo)
    except UnreadablePhoto as error:
        raise BadPhoto(str(error)) from None
    return width * height
