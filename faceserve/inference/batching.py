"""Which request may use an engine next: batches, fairness between models, and deadlines.

There are no worker threads: the thread of the first request in a batch runs it for the others. So a request to an idle
server is answered by the thread that received it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np

from faceserve.engines.base import Images, InferenceEngine, Output
from faceserve.errors import InferenceFailed, Overloaded, TooLate


@dataclass(eq=False)
class _Request:
    """`batch` is what its own thread has to run; if there is none, another thread leaves `output` or `error` here."""

    images: Images
    deadline: float
    arrived: float = field(default_factory=time.monotonic)
    ready: threading.Event = field(default_factory=threading.Event)
    batch: "list[_Request]" = field(default_factory=list)
    output: Output | None = None
    error: Exception | None = None


class Batcher:
    """At most `slots` engine calls at once, for all models together; each engine has a queue, and queues take turns."""

    def __init__(
        self,
        *,
        slots: int,
        max_batch: int = 1,
        wait_seconds: float = 0.0,
        max_waiting: int = 128,
        observe: Callable[[int, Sequence[float]], None] = lambda images, queue_seconds: None,
    ) -> None:
        self._slots = self._free = slots
        self._max_batch = max_batch
        self._wait_seconds = wait_seconds
        self._max_admitted = slots + max_waiting
        self._observe = observe
        self._admitted = 0
        self._change = threading.Condition()
        self._queues: dict[InferenceEngine, deque[_Request]] = {}
        self._idle_work: deque[tuple[InferenceEngine, _Request]] = deque()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Before any work is put into a request. Raises `Overloaded`."""
        with self._change:
            if self._admitted >= self._max_admitted:
                raise Overloaded(f"{self._admitted} requests are being worked on or wait: ask another replica or later")
            self._admitted += 1
        try:
            yield
        finally:
            with self._change:
                self._admitted -= 1

    @property
    def waiting(self) -> int:
        """Requests that wait for an engine."""
        with self._change:
            return sum(len(queue) for queue in self._queues.values())

    def infer(self, engine: InferenceEngine, images: Images, deadline: float = float("inf")) -> Output:
        """Answer `images` (uint8 [N, H, W, 3]) before `deadline` (monotonic seconds).

        Raises `TooLate` or `InferenceFailed`.
        """
        request = _Request(images, deadline)
        with self._change:
            if self._free:
                self._free -= 1
                request.batch = [request]
            else:
                self._queues.setdefault(engine, deque()).append(request)
                self._change.notify_all()
        return self._finished(engine, request)

    def infer_when_idle(self, engine: InferenceEngine, images: Images) -> Output:
        """The same for work that nobody waits for: it begins only when no request waits."""
        request = _Request(images, float("inf"))
        with self._change:
            if self._free and not self._queues:
                self._free -= 1
                request.batch = [request]
            else:
                self._idle_work.append((engine, request))
        return self._finished(engine, request)

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

    def _finished(self, engine: InferenceEngine, request: _Request) -> Output:
        if not request.batch:
            self._await(engine, request)
        if request.batch:
            self._run(engine, request.batch)
        if request.error is not None:
            raise request.error
        assert request.output is not None
        return request.output

    def _await(self, engine: InferenceEngine, request: _Request) -> None:
        # A lock cannot wait for ever with a timeout.
        seconds = min(request.deadline - time.monotonic(), threading.TIMEOUT_MAX)
        if request.ready.wait(max(0.0, seconds)):
            return
        with self._change, suppress(KeyError, ValueError):
            # If it is not in the queue any more, another thread runs it just now or has handed it a batch to run.
            self._queues[engine].remove(request)
            self._drop_empty(engine)
            request.error = TooLate("the deadline passed while the request waited for an engine")
            return
        request.ready.wait()

    def _run(self, engine: InferenceEngine, batch: list[_Request]) -> None:
        self._fill(engine, batch)
        started = time.monotonic()
        try:
            output = self._in_pieces(engine, [request.images for request in batch])
            _share(batch, output)
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is the answer of these requests
            for request in batch:
                request.error = InferenceFailed(f"the model failed: {type(error).__name__} {error}")
        finally:
            self._hand_over()
        for request in batch:
            request.ready.set()
        waited = [started - request.arrived for request in batch]
        self._observe(sum(len(request.images) for request in batch), waited)

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
        """Give the slot to the next batch: engines take turns, work for idle times comes last."""
        with self._change:
            batch = self._next_batch()
            if not batch:
                self._free += 1
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
        if not batch and self._idle_work:
            _, request = self._idle_work.popleft()
            batch = [request]
        return batch

    def _taken(self, engine: InferenceEngine, most: int) -> list[_Request]:
        """Requests for one batch, at least one if any is still in time; those that are too late are told so."""
        waiting = self._queues.get(engine)
        if not waiting:
            return []
        now = time.monotonic()
        for late in [request for request in waiting if request.deadline < now]:
            waiting.remove(late)
            late.error = TooLate("the deadline passed while the request waited for an engine")
            late.ready.set()
        size = _power_of_two(min(most, sum(len(request.images) for request in waiting)))
        batch: list[_Request] = []
        while waiting and (not batch or sum(len(r.images) for r in batch) + len(waiting[0].images) <= size):
            batch.append(waiting.popleft())
        self._drop_empty(engine)
        return batch

    def _drop_empty(self, engine: InferenceEngine) -> None:
        if not self._queues[engine]:
            del self._queues[engine]

    def _in_pieces(self, engine: InferenceEngine, images: Sequence[Images]) -> Output:
        """One call when the batch has a size the engine is warm for, several otherwise."""
        together = images[0] if len(images) == 1 else np.concatenate(images)
        outputs, at = [], 0
        while at < len(together):
            size = _power_of_two(min(self._max_batch, len(together) - at))
            outputs.append(engine.infer(together[at : at + size]))
            at += size
        if len(outputs) == 1:
            return outputs[0]
        return Output(
            np.concatenate([output.probabilities for output in outputs]),
            np.concatenate([output.features for output in outputs]),
        )


def batch_sizes(most: int) -> list[int]:
    """Powers of two up to `most`: engines prepare each size once, so there should be few."""
    return [1 << n for n in range(most.bit_length())]


def _share(batch: Sequence[_Request], output: Output) -> None:
    at = 0
    for request in batch:
        end = at + len(request.images)
        request.output = Output(output.probabilities[at:end], output.features[at:end])
        at = end


def _power_of_two(number: int) -> int:
    """The largest one up to `number`."""
    return 1 << (number.bit_length() - 1) if number else 0
