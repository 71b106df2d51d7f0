"""Refusals that pass: given at once and without a thread, with a sentence and a hint when to ask again."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn

import grpc

log = logging.getLogger(__name__)

# How long gRPC clients that ask again by themselves wait before they do (gRFC A6).
_PUSHBACK = "grpc-retry-pushback-ms"
LATER_MS, ELSEWHERE_MS = 500, 200


def refuse_for_now(
    context: grpc.ServicerContext,
    sentence: str,
    code: grpc.StatusCode = grpc.StatusCode.RESOURCE_EXHAUSTED,
    wait_ms: int = LATER_MS,
) -> NoReturn:
    """Ends the call by raising."""
    context.set_trailing_metadata(((_PUSHBACK, str(wait_ms)),))
    context.abort(code, sentence)
    raise AssertionError("`abort` raises")


class AtOnce(ThreadPoolExecutor):
    """No threads: what is handed over is done before `submit` returns. For refusals, which wait for nothing.

    gRPC takes calls in on one thread. Handed on to others, a flood of surplus calls waits for its refusal until their
    callers give up; that one thread says no as fast as it would hand them on.
    """

    def submit(self, work: Callable[..., Any], /, *args: Any, **named: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(work(*args, **named))
        return done


AT_ONCE = AtOnce(1)


class Counted(ThreadPoolExecutor):
    """Threads, and how many calls they are `busy` with: those that run and those that wait for one.

    `surplus` may give a sentence for a connection whose next call would have no place: it gets no thread either, and
    finds the sentence in `refused_at_once` while it is refused by the thread that takes calls in.
    """

    def __init__(self, threads: int, surplus: Callable[[str], str] = lambda connection: "") -> None:
        super().__init__(threads, thread_name_prefix="call")
        self.busy = 0
        self._counting = threading.Lock()
        self._surplus = surplus
        self._taking_in = threading.local()

    @property
    def refused_at_once(self) -> str:
        return str(getattr(self._taking_in, "sentence", ""))

    def submit(self, work: Callable[..., Any], /, *args: Any, **named: Any) -> "Future[Any]":
        if (connection := _connection(args)) and (sentence := self._surplus(connection)):
            self._taking_in.sentence = sentence
            try:
                return AT_ONCE.submit(work, *args, **named)
            finally:
                self._taking_in.sentence = ""
        self._count(1)
        done = super().submit(work, *args, **named)
        done.add_done_callback(lambda _: self._count(-1))
        return done

    def _adjust_thread_count(self) -> None:
        """Called once the work is queued, on the one thread that takes calls in: an error here would end that thread.

        What has no thread yet is done by those that there are, or by the next that can be started.
        """
        try:
            super()._adjust_thread_count()
        except RuntimeError as error:
            log.warning("a call waits for a thread: %s", error)

    def _count(self, more: int) -> None:
        with self._counting:
            self.busy += more


class Shares:
    """How many calls run, and how many of them over each connection: none gets more than `each`.

    Beyond that a connection may take of the places that are `common` to all, but never more of them than are left: so
    it leaves as many to the next as it has, whoever comes first.
    """

    def __init__(self, places: int, each: int, common: int = 0) -> None:
        self._places = places
        self._each = each
        self._common = common
        self._lent = self._total = 0
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def full(self) -> str:
        return f"{self._places} such calls run already: ask another replica or later"

    def surplus(self, connection: str) -> str:
        """Why a further call would have no place, or nothing."""
        with self._lock:
            return self._surplus(connection)

    def taken(self, connection: str) -> str:
        """Nothing if this call has a place now, which is to be `given_back`, else why it has none."""
        with self._lock:
            if sentence := self._surplus(connection):
                return sentence
            self._lent += self._running.get(connection, 0) >= self._each
            self._running[connection] += 1
            self._total += 1
            return ""

    def _surplus(self, connection: str) -> str:
        if self._total >= self._places:
            return self.full
        running = self._running.get(connection, 0)
        if running < self._each or running - self._each < self._common - self._lent:
            return ""
        return f"{running} such calls of this connection run already: ask another replica or later"

    def given_back(self, connection: str) -> None:
        with self._lock:
            self._lent -= self._running[connection] > self._each
            self._running[connection] -= 1
            self._total -= 1
            if not self._running[connection]:
                del self._running[connection]


def _connection(handed_over: Sequence[Any]) -> str:
    """Of a call that gRPC hands over to threads, which has no context before it runs; nothing if it says none."""
    for one in handed_over:
        if peer := getattr(getattr(one, "call", None), "peer", None):
            # As a call's context says it.
            return said.decode() if isinstance(said := peer(), bytes) else str(said)
    return ""
