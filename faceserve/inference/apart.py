"""Engine calls that may take nothing from those that serve: of candidates, of versions asked for by name, of warm-up.

Each engine has places of its own, and each call runs in a thread of its own, so that a model that never comes back
keeps nobody waiting: its call is given up, and so is every later one at once.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from faceserve.engines.base import Images, InferenceEngine, Output
from faceserve.errors import InferenceFailed, ModelHangs, NotFinite, Overloaded, TooLate

# A whole process may have been stopped for a while: then a call is overdue, but comes back a moment later.
GRACE_SECONDS = 0.5
# How often those that wait look whether their caller does.
_LOOK_SECONDS = 0.5
_GONE = "nobody waits for the answer any more"


@dataclass(frozen=True)
class Answered(Output):
    """`engine_seconds`: how long the engine took for each image, `queue_seconds`: how long it was waited for.

    `engine_calls`: how many there were; of answers that share one, the first alone counts it. Raises `NotFinite`.
    """

    engine_seconds: float
    queue_seconds: float = 0.0
    engine_calls: int = 1

    def __post_init__(self) -> None:
        if not (np.isfinite(self.probabilities).all() and np.isfinite(self.features).all()):
            raise NotFinite("the model gave numbers that are not finite")


def aside(name: str, work: Callable[..., Any], *args: Any) -> None:
    """In a thread of its own. Raises `Overloaded` when none can start: then `work` gives nothing back."""
    try:
        threading.Thread(target=work, args=args, name=name, daemon=True).start()
    except RuntimeError as error:
        raise Overloaded(f"no thread could start ({error}): ask another replica or later") from None


class GivenUp(TooLate):
    """Nobody waits for this call any more, but it goes on; `outcome` is what its caller would have got."""

    def __init__(self, reason: str, outcome: "Future[Answered]") -> None:
        super().__init__(reason)
        self.outcome = outcome


class _Call:
    def __init__(self, engine: InferenceEngine, images: Images, asked: float) -> None:
        self._engine = engine
        self._images = images
        self._asked = asked
        # As for a batch, time counts from when the thread runs. On a busy machine that may be long after its start, and
        # waiting for the interpreter is not the model's time.
        self._began: float | None = None
        self.outcome: Future[Answered] = Future()
        self._given_up = False

    def seconds_left(self, seconds: float) -> float:
        """Seconds left of those that the model may take."""
        return seconds if self._began is None else self._began + seconds - time.monotonic()

    def hangs(self, seconds: float) -> bool:
        if not self._given_up and self.seconds_left(seconds) <= 0:
            self._given_up = not wait([self.outcome], GRACE_SECONDS).done
        return self._given_up and not self.outcome.done()

    def run(self, over: "Callable[[_Call], None]") -> None:
        try:
            found = self._worked()
        except InferenceFailed as error:
            over(self)
            self.outcome.set_exception(error)
        else:
            over(self)
            self.outcome.set_result(found)

    def _worked(self) -> Answered:
        self._began = began = time.monotonic()
        try:
            output = self._engine.infer(self._images)
            each = (time.monotonic() - began) / len(self._images)
            return Answered(output.probabilities, output.features, each, began - self._asked)
        except NotFinite:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever an engine raises is the answer of this call
            raise InferenceFailed(f"the model failed: {type(error).__name__} {error}") from error


class _Lane:
    """One engine's own places, and the calls in them."""

    def __init__(self, places: int) -> None:
        self.free = threading.Semaphore(places)
        self.calls: set[_Call] = set()

    def over(self, call: _Call) -> None:
        self.calls.discard(call)
        self.free.release()

    def hangs(self, seconds: float) -> bool:
        return any(call.hangs(seconds) for call in list(self.calls))


class Apart:
    """At most `places` calls of each engine at once; `call_seconds` is how long one may take."""

    def __init__(self, places: int, call_seconds: float) -> None:
        self._places = places
        self._call_seconds = call_seconds
        self._lanes: WeakKeyDictionary[InferenceEngine, _Lane] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def infer(
        self,
        engine: InferenceEngine,
        images: Images,
        deadline: float = float("inf"),
        wanted: Callable[[], bool] = lambda: True,
    ) -> Answered:
        """Answer `images` (uint8 [N, H, W, 3]) before `deadline` (monotonic seconds).

        Raises `InferenceFailed`, `ModelHangs`, `Overloaded`, or `TooLate`, which says nothing of the model: if the
        model was at work by then it is `GivenUp`, and what becomes of that call does.
        """
        asked = time.monotonic()
        with self._lock:
            lane = self._lanes.setdefault(engine, _Lane(self._places))
        self._take_place(lane, deadline, wanted)
        call = _Call(engine, images, asked)
        lane.calls.add(call)
        try:
            aside("apart", call.run, lane.over)
        except Overloaded:
            lane.over(call)
            raise
        return self._outcome(call, deadline, wanted)

    def _outcome(self, call: _Call, deadline: float, wanted: Callable[[], bool]) -> Answered:
        """Raises `GivenUp` also when the caller goes first: its thread is for others."""
        while not wait([call.outcome], self._look_seconds(call, deadline)).done:
            if not wanted():
                raise GivenUp(_GONE, call.outcome)
            if call.hangs(self._call_seconds):
                raise ModelHangs(f"the model did not come back from a call within {self._call_seconds:g} s")
            if time.monotonic() >= deadline:
                raise GivenUp("the deadline passed while the model worked on the request", call.outcome)
        return call.outcome.result()

    def _look_seconds(self, call: _Call, deadline: float) -> float:
        return max(0.0, min(_seconds_until(deadline), call.seconds_left(self._call_seconds), _LOOK_SECONDS))

    def _take_place(self, lane: _Lane, deadline: float, wanted: Callable[[], bool]) -> None:
        """Waits while every place is taken; meanwhile somebody may find out that the model hangs."""
        while not lane.hangs(self._call_seconds):
            left = _seconds_until(deadline)
            taken = lane.free.acquire(timeout=min(left, _LOOK_SECONDS))
            if not wanted():
                if taken:
                    lane.free.release()
                raise TooLate(_GONE)
            if taken:
                return
            if left <= _LOOK_SECONDS:
                raise TooLate("the deadline passed while the request waited for the model")
        raise ModelHangs(f"the model has not come back from an earlier call for {self._call_seconds:g} s")


def _seconds_until(deadline: float) -> float:
    # A lock cannot wait for ever with a timeout.
    return min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
