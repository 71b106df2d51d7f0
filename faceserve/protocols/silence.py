"""Calls that wait for what their callers do, and for how long they may."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

log = logging.getLogger(__name__)

# After an error that nobody foresaw, which is told each time.
_LOOK_SECONDS, _CALM_SECONDS = 0.5, 5.0


class Silence:
    """Ends calls whose next message does not come in time, or whose answers nobody reads.

    gRPC holds what has come of a message and does not say how much. So when memory is short, of the calls that still
    send only as many as `may_arrive` says go on; those that have sent for longest are ended.
    """

    def __init__(self, may_arrive: Callable[[], float]) -> None:
        self._may_arrive = may_arrive
        self._lock = threading.Lock()
        self._waiting: dict[object, _Waiting] = {}
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="silence", daemon=True).start()

    def first(self, requests: Iterator[Any], context: grpc.ServicerContext, seconds: float) -> Any:
        """The message of a call; the call is cancelled if that does not come within `seconds`."""
        with self._waits(_Waiting(context, time.monotonic() + seconds, sends=True)):
            return next(requests)

    def each(self, requests: Iterator[Any], context: grpc.ServicerContext, seconds: float) -> Iterator[Any]:
        """The messages of a stream, which is cancelled after `seconds` without one, or when all is over."""
        while not self._over.is_set():
            try:
                with self._waits(_Waiting(context, time.monotonic() + seconds, sends=True, stream=True)):
                    found = next(requests)
            except StopIteration:
                return
            yield found

    def read(self, answers: Iterator[Any], context: grpc.ServicerContext, seconds: float) -> Iterator[Any]:
        """The answers of a stream, which is cancelled when one is not read within `seconds`."""
        for one in answers:
            with self.until_read(context, seconds):
                yield one

    def until_read(self, context: grpc.ServicerContext, seconds: float) -> AbstractContextManager[None]:
        """While an answer is on its way: the call is cancelled if that is not read within `seconds`."""
        return self._waits(_Waiting(context, time.monotonic() + seconds))

    def end(self) -> None:
        """Streams on which nothing is said are ended: a shutdown does not wait for what may never be asked."""
        self._over.set()

    @contextmanager
    def _waits(self, waiting: "_Waiting") -> Iterator[None]:
        one = object()
        with self._lock:
            self._waiting[one] = waiting
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[one]

    def _watch(self) -> None:
        over, pause = False, _LOOK_SECONDS
        while not over or self._waiting:
            over, pause = self._over.wait(pause), _LOOK_SECONDS
            try:
                self._look(over)
            except Exception:
                # Without this thread, who says nothing would stay for ever.
                pause = _CALM_SECONDS
                log.exception("silent calls could not be looked at: they are again in %g s", pause)
            if over:
                time.sleep(pause)

    def _look(self, over: bool) -> None:
        now = time.monotonic()
        with self._lock:
            waiting = list(self._waiting.values())
        for one in waiting:
            if one.until <= now or (over and one.stream):
                one.context.cancel()
        self._make_room([one for one in waiting if one.sends and one.since < now - _LOOK_SECONDS])

    def _make_room(self, sending: "list[_Waiting]") -> None:
        """Whoever sends at an ordinary speed is through before he counts as one of these."""
        most = self._may_arrive() if sending else len(sending)
        if len(sending) <= most:
            return
        log.warning("memory is short: of %d calls that still send %d go on", len(sending), most)
        for one in sorted(sending, key=lambda one: one.since)[: len(sending) - int(most)]:
            one.context.cancel()


@dataclass(frozen=True)
class _Waiting:
    """For what the call behind `context` does, until then; `since` and `until` in seconds of the monotonic clock."""

    context: grpc.ServicerContext
    until: float
    sends: bool = False
    stream: bool = False
    since: float = field(default_factory=time.monotonic)
