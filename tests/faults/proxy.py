"""A wire that can be cut: connections to one port pass through here, as a test has it."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

_CHUNK_BYTES = 65536

Wire = Callable[[bytes], bytes]


class Proxy:
    """Listens on a port of its own. `connections` were made so far; while `open` is cleared, new ones wait, as behind a
    network that drops them. `answers` may change what the server says, and ends the connection by saying less; `asked`
    hears what the server is told.
    """

    def __init__(self, port: int) -> None:
        self.open = threading.Event()
        self.open.set()
        self.answers: Wire = lambda body: body
        self.asked: Callable[[bytes], object] = lambda body: None
        self._to, self._connected = ("127.0.0.1", port), set()
        self.connections = 0
        self._refuses = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """Connections end, and new ones are refused, until `mend`."""
        self._refuses = True
        self.open.set()
        for end in list(self._connected):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._refuses = False
        self.answers, self.asked = (lambda body: body), (lambda body: None)
        self.open.set()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            self.open.wait()
            if self._refuses:
                return
            with socket.create_connection(self._to) as server:
                self._connected |= {client, server}
                back = threading.Thread(target=self._pass, args=(server, client, self._said), daemon=True)
                back.start()
                self._pass(client, server, self._heard)
                back.join()
                self._connected -= {client, server}

    def _said(self, body: bytes) -> bytes:
        return self.answers(body)

    def _heard(self, body: bytes) -> bytes:
        self.asked(body)
        return body

    def _pass(self, source: socket.socket, target: socket.socket, wire: Wire) -> None:
        with suppress(OSError):
            while body := source.recv(_CHUNK_BYTES):
                passed = wire(body)
                target.sendall(passed)
                if len(passed) < len(body):
                    break
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
