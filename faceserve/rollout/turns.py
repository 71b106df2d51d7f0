"""Who may load a version next: one at a time, so that requests are disturbed least."""

import bisect
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from faceserve.errors import Overloaded, TooLate

# How often those that wait look whether their caller does.
_LOOK_SECONDS = 0.5

Wanted = Callable[[], bool]


class Turns:
    """In the order of arrival, but whatever is `urgent` comes before all that is not.

    A way back that has to be loaded must not stand in a queue: whoever asks for other versions without end would keep
    the bad one serving.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._taken = False
        self._waiting: list[tuple[bool, int]] = []
        self._numbers = itertools.count()

    @property
    def pressing(self) -> bool:
        """Whether something urgent waits."""
        waiting = self._waiting[:1]
        return bool(waiting) and not waiting[0][0]

    @contextmanager
    def taken(self, *, urgent: bool = False, wanted: Wanted = lambda: True) -> Iterator[None]:
        """Raises `TooLate` when it is not `wanted` any more before its turn comes."""
        with self._change:
            turn = (not urgent, next(self._numbers))
            bisect.insort(self._waiting, turn)
            try:
                self._wait_for(turn, wanted)
                self._taken = True
            finally:
                self._waiting.remove(turn)
                self._change.notify_all()
        try:
            yield
        finally:
            with self._change:
                self._taken = False
                self._change.notify_all()

    def demand_reason(self, version: str, wanted: Wanted) -> None:
        """For whoever loads `version` and could stop. Raises `TooLate` when it is not `wanted` any more, and
        `Overloaded` when something urgent waits for it to end.
        """
        # Checked first: a fetch goes on for a caller that has gone, but not ahead of a way back.
        if self.pressing:
            raise Overloaded(f"a way back is loaded before {version}: try again later")
        demand_wanted(version, wanted)

    def _wait_for(self, turn: tuple[bool, int], wanted: Wanted) -> None:
        while self._taken or self._waiting[0] != turn:
            if not wanted():
                raise TooLate("nobody waits for this version any more, so it was not loaded")
            self._change.wait(_LOOK_SECONDS)


def demand_wanted(version: str, wanted: Wanted) -> None:
    """Raises `TooLate`."""
    if not wanted():
        raise TooLate(f"nobody waits for {version} any more, so it was not loaded")
