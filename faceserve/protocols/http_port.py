"""The HTTP port: uvicorn in a thread of its own, with limits for connections that only sit there."""

import asyncio
import functools
import socket
import threading
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from faceserve.protocols.tls import Tls

_MAX_HEAD_BYTES = 1 << 16
_MAX_HEADERS = 128
_MAX_PIPELINED = 16


@dataclass(frozen=True)
class Waits:
    """How long a request may take to say what it wants, or a caller to read.

    How long a connection may be silent between requests, how long those that run may go on after `stop`, and after how
    long a caller has to connect anew, so that it finds replicas that have come since.
    """

    message_seconds: float
    silence_seconds: float
    drain_seconds: float
    age_seconds: float


class HttpPort:
    """Bound when it is made, open when it is started."""

    def __init__(
        self, app: ASGIApp, address: tuple[str, int], waits: Waits, connections: int, tls: Tls | None = None
    ) -> None:
        """At most so many `connections` at once.

        Raises `OSError` if the port is taken, and `ValueError` for files that are no certificate and its key.
        """
        context = tls.context() if tls else None
        self._socket = _bound(address, waits.message_seconds)
        self._over = threading.Event()
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                # mypy: made like the class.
                http=functools.partial(PatientProtocol, waits, connections),  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # mypy: a timer takes any number.
                timeout_keep_alive=waits.silence_seconds,  # type: ignore[arg-type]
                timeout_graceful_shutdown=max(1, round(waits.drain_seconds)),
                ssl_context_factory=(lambda config, default: context) if context else None,
            )
        )

    @property
    def number(self) -> int:
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        # The thread takes a moment; whoever comes before waits for it instead of being refused.
        self._socket.listen()
        threading.Thread(target=self._run, name="http", daemon=True).start()

    def stop(self) -> threading.Event:
        """New connections are refused, requests that run may take what `drain_seconds` says; set when all are over."""
        self._server.should_exit = True
        return self._over

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()
            self._over.set()


def _bound(address: tuple[str, int], unread_seconds: float) -> socket.socket:
    """It does not listen yet, so that nobody waits before there is somebody to answer."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What is sent on a connection that nobody reads from would wait for ever, also after the connection is closed.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, round(unread_seconds * 1000)))
    try:
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


class PatientProtocol(HttpToolsProtocol):
    """uvicorn waits for ever for the first request of a connection, for headers without end and for a body.

    And whoever says anything after his answer ends its wait for the next request. Where there are too many connections,
    the one that has asked for nothing for longest gives way. The first answer after its age says that it is the last.
    """

    _deadline: asyncio.TimerHandle | None = None
    _in_head = True
    _head_bytes = 0
    # None: it has asked for something, or was given up.
    _idle_since: float | None = None

    def __init__(self, waits: Waits, most_connections: int, **given: Any) -> None:
        super().__init__(**given)
        self._most_connections = most_connections
        self._message_seconds, self._age_seconds = waits.message_seconds, waits.age_seconds
        self._ages_at = float("inf")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._ages_at = self._idle_since + self._age_seconds
        self._await(self._message_seconds)
        if len(self.connections) > self._most_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self.transport.abort()
        elif self._deadline is None and self.cycle.response_complete:
            self._await(self._message_seconds)

    def on_message_begin(self) -> None:
        _demand(len(self.pipeline) < _MAX_PIPELINED)
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._await(self._message_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        _demand(len(self.headers) < _MAX_HEADERS)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.loop.time() >= self._ages_at:
            self.cycle.keep_alive = False
        self._in_head, self._idle_since = False, None
        # Whoever reads the body waits half as long for it, and says so.
        self._await(2 * self._message_seconds)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._await(None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self._idle_since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(None)
        super().connection_lost(exc)

    def _make_room(self) -> None:
        others = [one for one in self.connections if isinstance(one, PatientProtocol)]
        idle = [(one._idle_since, id(one), one) for one in others if one._idle_since is not None]
        _, _, longest = min(idle)
        longest._idle_since = None
        longest.transport.abort()

    def _await(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


def _demand(few: bool) -> None:
    """The parser goes no further and uvicorn answers 400: a few bytes on the wire are thousands in memory."""
    if not few:
        raise ValueError("too many headers, or requests at once")
