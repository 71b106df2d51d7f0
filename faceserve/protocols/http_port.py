"""The HTTP port: uvicorn in a thread of its own, with limits for connections that only sit there."""

import asyncio
import socket
import threading
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from faceserve.protocols.tls import Tls

_MAX_CONNECTIONS = 512
_MAX_HEADER_BYTES = 1 << 16
_KEEPALIVE_SECONDS = 60


@dataclass(frozen=True)
class Waits:
    """How long a request may take to say what it wants, and how long those that run may go on after `stop`."""

    message_seconds: float
    drain_seconds: float


class HttpPort:
    """Bound when it is made, open when it is started."""

    def __init__(self, app: ASGIApp, address: tuple[str, int], waits: Waits, tls: Tls | None = None) -> None:
        """Raises `OSError` if the port is taken, and `ValueError` for files that are no certificate and its key."""
        context = tls.context() if tls else None
        self._socket = _bound(address)
        self._over = threading.Event()
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=_patient(waits.message_seconds),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEPALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(waits.drain_seconds)),
                ssl_context_factory=(lambda config, default: context) if context else None,
            )
        )

    @property
    def number(self) -> int:
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
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


def _bound(address: tuple[str, int]) -> socket.socket:
    """It does not listen yet, so that nobody waits before there is somebody to answer."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def _patient(message_seconds: float) -> type[asyncio.Protocol]:
    """uvicorn waits for ever for the first request of a connection, and for headers without end."""

    class PatientProtocol(HttpToolsProtocol):
        _deadline: asyncio.TimerHandle | None = None
        _header_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._await_headers()
            if len(self.connections) > _MAX_CONNECTIONS:
                transport.abort()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._deadline is not None:
                self._header_bytes += len(data)
                if self._header_bytes > _MAX_HEADER_BYTES:
                    self.transport.abort()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._await_headers()

        def on_headers_complete(self) -> None:
            self._headers_came()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._headers_came()
            super().connection_lost(exc)

        def _await_headers(self) -> None:
            self._headers_came()
            self._header_bytes = 0
            self._deadline = self.loop.call_later(message_seconds, self.transport.abort)

        def _headers_came(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return PatientProtocol
