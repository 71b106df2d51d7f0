"""How many calls of each kind run at once, and how long one may keep its place without sending anything.

gRPC gives a call a thread when its headers arrive and keeps it there until the message does. So calls that only begin,
or streams on which nothing is said, would take every thread; here each kind has threads of its own, and whoever says
nothing is sent away.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from faceserve.protocols.parts import NO_MESSAGE, demand_few_parts
from faceserve.protocols.refusing import Counted, Shares, refuse_for_now

log = logging.getLogger(__name__)

# Threads beyond the places: a call has left its place, and its caller asks anew, before its thread is through; and over
# which connection a call came, and so whether that has its share already, is known in a thread alone.
_REFUSING_THREADS = 16
_LOOK_SECONDS = 0.5
# Of the threads in which calls only begin each connection gets one in so many.
_BEGIN_BY_EACH = 8
# gRPC's mark for what answers through a function, from any thread and whenever it likes.
_NON_BLOCKING = "experimental_non_blocking"


@dataclass(frozen=True)
class Patience:
    """How long a message may take to arrive after its headers, how long a stream may be silent between two, and how
    long a few bytes of news may wait to be read.
    """

    message_seconds: float = 20.0
    silence_seconds: float = 60.0
    news_seconds: float = 5.0


class Room:
    """At most `places` calls at once, of which `each` connection gets at most so many, three quarters unless that says
    otherwise, and beyond that of the `common` ones as many as it leaves; more are refused with RESOURCE_EXHAUSTED.
    Calls that need a thread only while they begin share `threads`, of which each connection gets at most an eighth.

    `crowded` may give a sentence why a call would be refused whatever it says: then it is not read. `refused` is called
    for each that was not let in.
    """

    def __init__(
        self,
        places: int,
        each: int | None = None,
        crowded: Callable[[], str] = lambda: "",
        refused: Callable[[], None] = lambda: None,
        *,
        threads: int | None = None,
        common: int = 0,
    ) -> None:
        self._shares = Shares(places, each or max(1, places * 3 // 4), common)
        self._beginning = Shares(threads or places, max(1, (threads or places) // _BEGIN_BY_EACH))
        self._threads = (threads or places) + _REFUSING_THREADS
        # They start when they are needed.
        self._pool = Counted(self._threads)
        self._crowded = crowded
        self._refused = refused

    def refusal(self) -> str:
        """Why a call is refused without a thread and before anything of it is read, or nothing."""
        return self._shares.full if self._pool.busy >= self._threads else self._crowded()

    def refusing(self, sentence: str) -> Callable[..., Any]:
        """What answers such a call, unless somebody refuses it for another reason: only then it counts as refused."""

        def refuse(requests: Any, context: grpc.ServicerContext) -> None:
            self._refused()
            refuse_for_now(context, sentence)

        return refuse

    def on_own_threads(self, work: Callable[..., Any]) -> Callable[..., Any]:
        work.experimental_thread_pool = self._pool  # type: ignore[attr-defined]
        return work

    def place(self, context: grpc.ServicerContext) -> AbstractContextManager[None]:
        return self._taken(self._shares, context)

    def beginning(self, context: grpc.ServicerContext) -> AbstractContextManager[None]:
        """Of a call that needs a thread only while it begins; beside its place."""
        return self._taken(self._beginning, context)

    @contextmanager
    def _taken(self, shares: Shares, context: grpc.ServicerContext) -> Iterator[None]:
        connection = context.peer()
        if sentence := shares.taken(connection):
            self._refused()
            refuse_for_now(context, sentence)
        try:
            yield
        finally:
            shares.given_back(connection)


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
        over = False
        while not over or self._waiting:
            over = self._over.wait(_LOOK_SECONDS)
            now = time.monotonic()
            with self._lock:
                waiting = list(self._waiting.values())
            for one in waiting:
                if one.until <= now or (over and one.stream):
                    one.context.cancel()
            self._make_room([one for one in waiting if one.sends and one.since < now - _LOOK_SECONDS])
            if over:
                time.sleep(_LOOK_SECONDS)

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


class Places(grpc.ServerInterceptor):
    """`rooms` by the beginning of a method's path; the longest that fits counts. Without a room nothing is answered."""

    def __init__(self, rooms: Mapping[str, Room], silence: Silence, patience: Patience) -> None:
        self._rooms = dict(sorted(rooms.items(), key=lambda room: -len(room[0])))
        self._silence = silence
        self._patience = patience

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        room = next((room for path, room in self._rooms.items() if details.method.startswith(path)), None)
        if handler is None or room is None:
            return None
        made = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        if sentence := room.refusal():
            return made(room.refusing(sentence))
        answer = self._answered_by(handler)(handler, room)
        # Messages are read here: gRPC ends a stream whose message it cannot read on the wire alone, keeps its place on
        # the connection for ever, and waits for it at the shutdown.
        return made(room.on_own_threads(answer), None, handler.response_serializer)

    def _answered_by(self, handler: Any) -> Callable[[Any, Room], Callable[..., Any]]:
        if not handler.response_streaming:
            return self._single
        return self._told if getattr(handler.unary_stream, _NON_BLOCKING, False) else self._stream

    def _told(self, handler: Any, room: Room) -> Callable[..., Any]:
        """Takes a thread until its message is there, and its place until it is over."""

        def begin(requests: Iterator[Any], context: grpc.ServicerContext, send: Callable[[Any], None]) -> None:
            def sent(answer: Any) -> None:
                with self._silence.until_read(context, self._patience.news_seconds):
                    send(answer)

            with ExitStack() as held:
                held.enter_context(room.place(context))
                with room.beginning(context):
                    asked = _read(handler, self._first(requests, context), context)
                left = held.pop_all().close
            if context.add_callback(left):
                handler.unary_stream(asked, context, sent)
            else:
                left()

        setattr(begin, _NON_BLOCKING, True)
        return begin

    def _single(self, handler: Any, room: Room) -> Callable[..., Any]:
        """Received as a stream of one message, so that the wait for it can be ended."""

        def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            with room.place(context):
                return handler.unary_unary(_read(handler, self._first(requests, context), context), context)

        return answer

    def _stream(self, handler: Any, room: Room) -> Callable[..., Any]:
        def answers(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            with room.place(context):
                silence_seconds = self._patience.silence_seconds
                if handler.request_streaming:
                    messages = self._silence.each(requests, context, silence_seconds)
                    found = handler.stream_stream((_read(handler, one, context) for one in messages), context)
                else:
                    found = handler.unary_stream(_read(handler, self._first(requests, context), context), context)
                yield from self._silence.read(found, context, silence_seconds)

        return answers

    def _first(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        try:
            return self._silence.first(requests, context, self._patience.message_seconds)
        except StopIteration:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call ended without a message")


def _read(handler: Any, message: bytes, context: grpc.ServicerContext) -> Any:
    read = handler.request_deserializer
    if read is None:
        return message
    try:
        # Generated code gives the method of a message's class.
        demand_few_parts(message, read.__self__.DESCRIPTOR)
    except ValueError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    try:
        return read(message)
    except Exception:  # noqa: BLE001 - whatever a decoder raises for bytes that are no message
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, NO_MESSAGE)
