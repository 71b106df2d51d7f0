"""Which request may use an engine next: batches, fairness between models, and deadlines.

There are no worker threads: the thread of the first request in a batch runs it for the others. So a request to an idle
server is answered by the thread that received it.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from faceserve.engines.base import Images, InferenceEngine, Output
from faceserve.errors import InferenceFailed, ModelHangs, NotFinite, TooLate
from faceserve.inference.apart import GRACE_SECONDS, Answered, Apart
from faceserve.inference.sizes import batch_sizes, joined, power_of_two

_LATE = "the deadline passed, or the caller went, while the request waited for an engine"
# How often those that wait look whether the call before them will ever come back, and whether their caller went.
_LOOK_SECONDS = 0.5


@dataclass(eq=False)
class _Request:
    """`batch` is what its own thread has to run; if there is none, another thread leaves `output` or `error` here.

    It holds the photos and its caller's message: were it to hold itself, both would stay until Python looks for
    circles, which after a crowd has gone may be hours.
    """

    images: Images
    deadline: float
    wanted: Callable[[], bool]
    arrived: float = field(default_factory=time.monotonic)
    ready: threading.Event = field(default_factory=threading.Event)
    batch: "list[_Request]" = field(default_factory=list)
    output: Answered | None = None
    error: Exception | None = None


@dataclass(eq=False)
class _Run:
    """A batch in an engine; `call_began` is when its current piece did, and `given_up` when its slot went to others."""

    engine: InferenceEngine
    batch: list[_Request]
    began: float = field(default_factory=time.monotonic)
    call_began: float = field(default_factory=time.monotonic)
    given_up: bool = False


class Batcher:
    """At most `slots` engine calls at once, for all models together; each engine has a queue, and queues take turns.

    A call that takes longer than `call_seconds` loses its slot to others, and until it comes back its engine is not
    asked again. `apart` is for calls that may not take a slot at all.
    """

    def __init__(
        self,
        *,
        slots: int,
        max_batch: int = 1,
        wait_seconds: float = 0.0,
        call_seconds: float = 10.0,
        observe: Callable[[int, Sequence[float]], None] = lambda images, queue_seconds: None,
    ) -> None:
        self._slots = self._free = slots
        self._max_batch = max_batch
        self._wait_seconds = wait_seconds
        self._observe = observe
        self._change = threading.Condition()
        self._queues: dict[InferenceEngine, deque[_Request]] = {}
        self._call_seconds = call_seconds
        self._runs: set[_Run] = set()
        self.apart = Apart(slots, call_seconds)

    @property
    def waiting(self) -> int:
        """Requests that wait for an engine."""
        with self._change:
            return sum(len(queue) for queue in self._queues.values())

    def infer(
        self,
        engine: InferenceEngine,
        images: Images,
        deadline: float = float("inf"),
        wanted: Callable[[], bool] = lambda: True,
    ) -> Answered:
        """Answer `images` (uint8 [N, H, W, 3]) before `deadline` (monotonic seconds), if it is still `wanted` then.

        Raises `TooLate`, `InferenceFailed` or `ModelHangs`.
        """
        if not wanted():
            raise TooLate(_LATE)
        request = _Request(images, deadline, wanted)
        with self._change:
            self._give_up_overdue()
            if any(run.given_up and run.engine is engine for run in self._runs):
                raise self._hangs()
            if self._free:
                self._free -= 1
                request.batch = [request]
            else:
                self._queues.setdefault(engine, deque()).append(request)
                self._change.notify_all()
        return self._finished(engine, request)

    def infer_when_idle(self, engine: InferenceEngine, images: Images, patience_seconds: float = 0.25) -> Answered:
        """The same for work that nobody waits for: it waits until no request does, but no longer than its patience.

        It takes no slot, so that no crowd keeps a version from being loaded. Raises what `Apart.infer` does.
        """
        self.wait_until_idle(patience_seconds)
        return self.apart.infer(engine, images)

    def wait_until_idle(self, seconds: float) -> bool:
        """Whether an engine is free and no request waits, within so many seconds."""
        with self._change:
            return self._change.wait_for(lambda: self._free > 0 and not self._queues, timeout=seconds)

    def warm_up(self, engine: InferenceEngine, image: Images) -> None:
        """Run every batch size that requests may come in, on every slot. Raises `InferenceFailed`."""
        engine.prepare(self.sizes)
        for size in self.sizes:
            for _ in range(self._slots):
                self.infer_when_idle(engine, np.repeat(image[None], size, 0))

    @property
    def sizes(self) -> list[int]:
        """See `batch_sizes`."""
        return batch_sizes(self._max_batch)

    def _finished(self, engine: InferenceEngine, request: _Request) -> Answered:
        if not request.batch:
            self._await(engine, request)
        batch, request.batch = request.batch, []
        if batch:
            self._run(engine, batch)
        del batch  # Other requests may hold an error whose traceback refers to this frame.
        error, request.error = request.error, None
        try:
            if error is not None:
                raise error
            assert request.output is not None
            return request.output
        finally:
            # An error refers to the frame that raised it, and so to everything in that frame.
            del error

    def _await(self, engine: InferenceEngine, request: _Request) -> None:
        while not request.ready.wait(max(0.0, min(request.deadline - time.monotonic(), _LOOK_SECONDS))):
            with self._change:
                self._give_up_overdue()
                if time.monotonic() < request.deadline and request.wanted():
                    continue
                with suppress(KeyError, ValueError):
                    # If it is not in the queue any more, another thread runs it just now or handed it a batch to run.
                    self._queues[engine].remove(request)
                    self._drop_empty(engine)
                    request.error = TooLate(_LATE)
                    return
            request.deadline = float("inf")

    def _run(self, engine: InferenceEngine, batch: list[_Request]) -> None:
        self._fill(engine, batch)
        run = _Run(engine, batch)
        with self._change:
            self._runs.add(run)
        try:
            output, calls = self._in_pieces(run, [request.images for request in batch])
            _share(run, output, calls)
        except TooLate as error:
            _fail(batch, error)
        except BaseException as error:  # noqa: BLE001 - whatever an engine raises is the answer of these requests
            _fail(batch, InferenceFailed(f"the model failed: {type(error).__name__} {error}"))
        finally:
            self._over(run)
        waited = [run.began - request.arrived for request in batch]
        self._observe(sum(len(request.images) for request in batch), waited)

    def _over(self, run: _Run) -> None:
        with self._change:
            self._runs.discard(run)
            if not run.given_up:
                self._hand_over()
            self._change.notify_all()
        for request in run.batch:
            request.ready.set()

    def _give_up_overdue(self) -> None:
        """Under `_change`: slots of calls that do not come back go to others; who waits for that engine is told so."""
        if self._overdue():
            self._change.wait_for(lambda: not self._overdue(), GRACE_SECONDS)
        for run in self._overdue():
            run.given_up = True
            # The first one's own thread is in the engine: nobody can tell it anything.
            for request in (*run.batch[1:], *self._queues.pop(run.engine, ())):
                request.error = self._hangs()
                request.ready.set()
            self._hand_over()

    def _overdue(self) -> list[_Run]:
        now = time.monotonic()
        return [one for one in self._runs if not one.given_up and now - one.call_began > self._call_seconds]

    def _hangs(self) -> ModelHangs:
        return ModelHangs(f"the model has not come back from a call for {self._call_seconds:g} s: ask another replica")

    def _fill(self, engine: InferenceEngine, batch: list[_Request]) -> None:
        """Wait a little for a fuller batch; never when the server was idle, since then nobody queued."""
        if self._wait_seconds <= 0 or not batch[0].ready.is_set() or len(batch) >= self._max_batch:
            return
        missing = self._max_batch - sum(len(request.images) for request in batch)
        with self._change:
            left = batch[0].arrived + self._wait_seconds - time.monotonic()
            self._change.wait_for(lambda: len(self._queues.get(engine, ())) >= missing, timeout=max(0.0, left))
            batch += self._taken(engine, missing)

    def _hand_over(self) -> None:
        """Under `_change`: give the slot to the next batch; engines take turns."""
        batch = self._next_batch()
        if not batch:
            self._free += 1
            self._change.notify_all()
            return
        batch[0].batch = batch
        batch[0].ready.set()

    def _next_batch(self) -> list[_Request]:
        batch: list[_Request] = []
        while self._queues and not batch:
            engine = next(iter(self._queues))
            batch = self._taken(engine, self._max_batch)
            if engine in self._queues:
                self._queues[engine] = self._queues.pop(engine)
        return batch

    def _taken(self, engine: InferenceEngine, most: int) -> list[_Request]:
        """Requests for one batch, at least one if any is still in time; those that are too late are told so."""
        waiting = self._queues.get(engine)
        if not waiting:
            return []
        now = time.monotonic()
        _send_away(waiting, [request for request in waiting if request.deadline < now])
        while gone := [request for request in itertools.islice(waiting, most) if not request.wanted()]:
            _send_away(waiting, gone)
        size = power_of_two(min(most, sum(len(request.images) for request in waiting)))
        batch: list[_Request] = []
        while waiting and (not batch or sum(len(r.images) for r in batch) + len(waiting[0].images) <= size):
            batch.append(waiting.popleft())
        self._drop_empty(engine)
        return batch

    def _drop_empty(self, engine: InferenceEngine) -> None:
        if not self._queues[engine]:
            del self._queues[engine]

    def _in_pieces(self, run: _Run, images: Sequence[Images]) -> tuple[Output, int]:
        """One engine call if it is warm for that size, else several; each may take its full time."""
        together = images[0] if len(images) == 1 else np.concatenate(images)
        outputs, at = [], 0
        while at < len(together):
            size = power_of_two(min(self._max_batch, len(together) - at))
            run.call_began = time.monotonic()
            if at and all(request.deadline < run.call_began or not request.wanted() for request in run.batch):
                raise TooLate("the deadline passed while the model worked on the request")
            outputs.append(run.engine.infer(together[at : at + size]))
            at += size
        return joined(outputs), len(outputs)


def _share(run: _Run, output: Output, calls: int) -> None:
    at, each = 0, (time.monotonic() - run.began) / len(output.features)
    for request in run.batch:
        end, waited = at + len(request.images), run.began - request.arrived
        # A request that shares a call with a photo the model cannot answer still gets its answer.
        try:
            request.output = Answered(output.probabilities[at:end], output.features[at:end], each, waited, calls)
            calls = 0
        except NotFinite as error:
            request.error = error
        at = end


def _send_away(waiting: "deque[_Request]", gone: Sequence[_Request]) -> None:
    for request in gone:
        waiting.remove(request)
        request.error = TooLate(_LATE)
        request.ready.set()


def _fail(batch: Sequence[_Request], error: Exception) -> None:
    for request in batch:
        request.error = error
