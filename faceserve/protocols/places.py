"""How many calls of each kind run at once, and how long one may keep its place without sending anything.

gRPC gives a call a thread when its headers arrive and keeps it there until the message does. So calls that only begin,
or streams on which nothing is said, would take every thread; here each kind has threads of its own, and whoever says
nothing is sent away.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from faceserve.protocols.lines import Lines
from faceserve.protocols.parts import NO_MESSAGE, demand_few_parts
from faceserve.protocols.refusing import Counted, Shares, refuse_for_now
from faceserve.protocols.silence import Silence

log = logging.getLogger(__name__)

# Threads beyond the places: a call has left its place, and its caller asks anew, before its thread is through.
_REFUSING_THREADS = 16
# Of the threads in which calls only begin each connection gets one in so many, and of half of them what it leaves.
_BEGIN_BY_EACH = 16
# gRPC's mark for what answers through a function, from any thread and whenever it likes.
_NON_BLOCKING = "experimental_non_blocking"


@dataclass(frozen=True)
class Patience:
    """How long a message may take to arrive after its headers, how long a stream may be silent between two, and how
    long a few bytes may: those that say what is watched to come, and those of news to be read.
    """

    message_seconds: float = 20.0
    silence_seconds: float = 60.0
    news_seconds: float = 5.0


class Room:
    """At most `places` calls at once, of which `each` connection gets at most so many, three quarters unless that says
    otherwise, and beyond that of the `common` ones as many as it leaves; more are refused with RESOURCE_EXHAUSTED.
    Calls that need a thread only while they begin share `threads`: those of one connection wait in line for theirs.

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
        threads = threads or places
        self._beginning = Lines(max(1, threads // _BEGIN_BY_EACH), threads // 2)
        self._threads = threads + _REFUSING_THREADS
        # They start when they are needed.
        self._pool = Counted(self._threads, self._shares.surplus)
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

    @contextmanager
    def place(self, context: grpc.ServicerContext) -> Iterator[None]:
        connection = context.peer()
        if sentence := self._pool.refused_at_once or self._shares.taken(connection):
            self._refused()
            refuse_for_now(context, sentence)
        try:
            yield
        finally:
            self._shares.given_back(connection)

    def begin(self, context: grpc.ServicerContext, work: Callable[[], None]) -> None:
        """Now, or in another thread, once it is the turn of this call among those of its connection."""
        if self._beginning.join(connection := context.peer(), work):
            self._beginning.work_off(connection)


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
        """Takes a thread while its message is read, and its place until it is over."""
        few_bytes_seconds = self._patience.news_seconds

        def begin(requests: Iterator[Any], context: grpc.ServicerContext, send: Callable[[Any], None]) -> None:
            def sent(answer: Any) -> None:
                with self._silence.until_read(context, few_bytes_seconds):
                    send(answer)

            def work() -> None:
                try:
                    asked = _read(handler, self._first(requests, context, few_bytes_seconds), context)
                    handler.unary_stream(asked, context, sent)
                except Exception as error:  # noqa: BLE001 - also what `abort` raises, whose status nobody sends here
                    _end(context, send, error)

            with ExitStack() as held:
                held.enter_context(room.place(context))
                left = held.pop_all().close
            if context.add_callback(left):
                room.begin(context, work)
            else:
                left()

        setattr(begin, _NON_BLOCKING, True)
        return begin

    def _single(self, handler: Any, room: Room) -> Callable[..., Any]:
        """Received as a stream of one message, so that the wait for it can be ended."""

        def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            with room.place(context):
                return handler.unary_unary(self._message(handler, requests, context), context)

        return answer

    def _stream(self, handler: Any, room: Room) -> Callable[..., Any]:
        def answers(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            with room.place(context):
                silence_seconds = self._patience.silence_seconds
                if handler.request_streaming:
                    messages = self._silence.each(requests, context, silence_seconds)
                    found = handler.stream_stream((_read(handler, one, context) for one in messages), context)
                else:
                    found = handler.unary_stream(self._message(handler, requests, context), context)
                yield from self._silence.read(found, context, silence_seconds)

        return answers

    def _message(self, handler: Any, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        return _read(handler, self._first(requests, context, self._patience.message_seconds), context)

    def _first(self, requests: Iterator[Any], context: grpc.ServicerContext, seconds: float) -> Any:
        try:
            return self._silence.first(requests, context, seconds)
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


def _end(context: Any, send: Callable[[Any], None], error: Exception) -> None:
    """A call that began in another one's thread: gRPC does not see what it raised."""
    if not context.is_active():
        return
    if context.code() is None:
        log.error("a call could not begin", exc_info=error)
        context.set_code(grpc.StatusCode.UNKNOWN)
    send(None)
