"""Photos are decoded a few at a time: a small file may be a large picture, and many would take all memory."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from faceserve.engines.base import Images
from faceserve.errors import BadPhoto, TooLate
from faceserve.inference.photos import decoded
from include.contract.preprocessing import UnreadablePhoto, decoding_bytes

_LOOK_SECONDS = 0.5
# Enough that a few large photos do not hold small ones up.
_AT_ONCE_A_CORE = 4


class Darkroom:
    """At most `budget_bytes` are taken by photos in work; one that needs more than that is worked on alone.

    A few for each of `cores` are in work, and no more: they would be no faster, and keep the thread that lets calls
    in from its turn, so that the surplus of a crowd waits for its refusal. They come in in the order of their arrival:
    past a large one that waits for its room no small one slips.
    """

    def __init__(self, budget_bytes: int, cores: int) -> None:
        self._budget_bytes = budget_bytes
        self._at_once = _AT_ONCE_A_CORE * cores
        self._in_work_bytes = self._in_work = 0
        self._waiting: deque[object] = deque()
        self._change = threading.Condition()

    @property
    def waiting(self) -> int:
        """Photos that wait for room."""
        return len(self._waiting)

    def decoded(
        self, photos: Sequence[bytes], deadline: float = float("inf"), wanted: Callable[[], bool] = lambda: True
    ) -> Images:
        """Model input of encoded photos: uint8 RGB [N, 224, 224, 3].

        Raises `BadPhoto`, or `TooLate` when the deadline (monotonic seconds) passes or the caller goes before the last.
        """
        made = []
        for number, photo in enumerate(photos):
            try:
                with self._room(_cost_bytes(photo), self._waiting.append, deadline, wanted):
                    made.append(decoded([photo]))
            except BadPhoto as error:
                raise BadPhoto(f"photo {number} of {len(photos)}: {error}" if len(photos) > 1 else str(error)) from None
        return np.concatenate(made)

    def decoded_next(self, photo: bytes) -> Images:
        """One for a gallery, as soon as there is room: a version is loaded, too, while requests are queueing.

        Raises `BadPhoto`.
        """
        with self._room(_cost_bytes(photo), self._waiting.appendleft):
            return decoded([photo])

    @contextmanager
    def _room(
        self,
        cost_bytes: int,
        queue_up: Callable[[object], None],
        deadline: float = float("inf"),
        wanted: Callable[[], bool] = lambda: True,
    ) -> Iterator[None]:
        turn = object()
        with self._change:
            queue_up(turn)
            try:
                self._wait_for(turn, cost_bytes, deadline, wanted)
                self._in_work_bytes += cost_bytes
                self._in_work += 1
            finally:
                self._waiting.remove(turn)
                self._change.notify_all()
        try:
            yield
        finally:
            with self._change:
                self._in_work_bytes -= cost_bytes
                self._in_work -= 1
                self._change.notify_all()

    def _wait_for(self, turn: object, cost_bytes: int, deadline: float, wanted: Callable[[], bool]) -> None:
        while time.monotonic() < deadline and wanted():
            if self._waiting[0] is turn and self._fits(cost_bytes):
                return
            self._change.wait(min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
        raise TooLate("the deadline passed, or the caller went, before the photo was decoded")

    def _fits(self, cost_bytes: int) -> bool:
        within = self._in_work_bytes + cost_bytes <= self._budget_bytes
        return not self._in_work or (within and self._in_work < self._at_once)


def _cost_bytes(photo: bytes) -> int:
    try:
        return decoding_bytes(photo)
    except UnreadablePhoto as error:
        raise BadPhoto(str(error)) from None
