"""A mail server that speaks just enough SMTP for a client to hand over its mails; it checks no password."""

import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.listening import listen

_ANSWERS = {b"EHLO": b"250-here\r\n250 AUTH PLAIN", b"AUTH": b"235 welcome", b"QUIT": b"221 bye"}


class MailServer(socketserver.ThreadingTCPServer):
    """`mails` are what came, with `senders` as the envelopes say; `refuses` is its answer to every recipient."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.mails: list[EmailMessage] = []
        self.senders: list[str] = []
        self.refuses: bytes | None = None

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Talk(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say(b"220 here")
        for line in self.rfile:
            word = line[:4].upper().strip()
            if word == b"MAIL":
                self.server.senders.append(line.decode().split("<")[1].split(">")[0])
            if word == b"RCPT" and self.server.refuses:
                self._say(self.server.refuses)
            elif word == b"DATA":
                self._take()
            else:
                self._say(_ANSWERS.get(word, b"250 fine"))

    def _take(self) -> None:
        self._say(b"354 go on")
        lines = iter(self.rfile.readline, b".\r\n")
        self.server.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))  # type: ignore[arg-type]
        self._say(b"250 taken")

    def _say(self, answer: bytes) -> None:
        self.wfile.write(answer + b"\r\n")


@contextmanager
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        listen(server)
        yield server
        server.shutdown()
