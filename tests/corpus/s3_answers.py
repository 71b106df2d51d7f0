"""What S3 may say of a photo, each with what has to be said of that, and an S3 that says so and keeps any key."""

import http.client
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from include.contract.photo import MAX_PHOTO_BYTES, BadPhotoAddress, PhotoAddress
from tests.corpus.photos import JPEG, ODD_KEYS
from tests.listening import listen

_OF_ONE_HOP = {"connection", "expect", "transfer-encoding", "date", "server"}


@dataclass(frozen=True)
class Answer:
    """`promised` is the length that the headers say, where it is another one; `because` is None for a good photo."""

    status: int
    because: str | None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None


def error(status: int, code: str, because: str, **headers: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return Answer(status, because, body, {name.replace("_", "-"): value for name, value in headers.items()})


# Of the photo, whoever asks and whenever.
OF_ONE_PHOTO: dict[str, Answer] = {
    "there is none": error(404, "NoSuchKey", "no photo at"),
    "there is none, with a checksum": error(404, "NoSuchKey", "no photo at", x_amz_checksum_crc32="AAAAAA=="),
    "a marker of what was deleted": error(404, "NoSuchKey", "no photo at", x_amz_delete_marker="true"),
    "archived": error(403, "InvalidObjectState", "lies in S3's archive"),
    "denied": error(403, "AccessDenied", "S3 denies access to .*: it is not there, or this role may not read it"),
    "too long a key": error(400, "KeyTooLongError", "S3 does not give out .*KeyTooLongError"),
    "its key is disabled": error(400, "KMS.DisabledException", "S3 does not give out"),
    "encrypted by the customer": error(400, "InvalidRequest", "S3 does not give out"),
    "no such method": error(405, "MethodNotAllowed", "S3 does not give out"),
    "no key that it could have": error(400, "InvalidURI", "S3 does not give out .*InvalidURI"),
    "gone": error(410, "Gone", "S3 does not give out"),
    "over the limit": Answer(200, f"bytes, {MAX_PHOTO_BYTES} are allowed", promised=MAX_PHOTO_BYTES + 1),
    "nothing": Answer(200, "photo is empty|no readable|0 bytes"),
    "a page of a proxy": Answer(200, "no readable", b"<html>Please log in</html>", {"Content-Type": "text/html"}),
    "a type that it is not": Answer(200, None, JPEG, {"Content-Type": "application/pdf"}),
    "metadata that lies": Answer(200, None, JPEG, {"x-amz-meta-label": "good", "ETag": '"0"'}),
}
# What may pass, and does not: of a few photos it is theirs, of more an outage.
LASTING: dict[str, Answer] = {
    "fails": error(500, "InternalError", "InternalError.*, for this photo alone"),
    "cut off": Answer(200, "for this photo alone", JPEG, promised=len(JPEG) + 500),
    "another's checksum": Answer(200, "for this photo alone", JPEG, {"x-amz-checksum-crc32": "AAAAAA=="}),
}
# About whoever asks, or when: no photo's fault.
OF_THE_CALLER: dict[str, Answer] = {
    code: error(status, code, "")
    for status, code in (
        *((403, "InvalidAccessKeyId"), (403, "SignatureDoesNotMatch"), (403, "RequestTimeTooSkewed")),
        *((400, "ExpiredToken"), (400, "InvalidToken"), (429, "Odd"), (503, "SlowDown"), (507, "Trouble")),
    )
}


def drawn_keys(count: int) -> list[str]:
    """Any that S3 takes, the same ones each time."""
    dice, found = random.Random(12), list(ODD_KEYS)
    alphabets = ("ab/._-+ ()", "한글사진", "🧺é漢\u200b\u202e", "".join(map(chr, range(1, 127))), "%2e%2f?#&=;")
    while len(found) < count:
        key = "".join(dice.choice(dice.choice(alphabets)) for _ in range(dice.choice((1, 3, 9, 40, 250))))
        try:
            PhotoAddress.read(f"s3://tasks/{key}")
        except BadPhotoAddress:
            continue
        found.append(key)
    return found


class OddS3(ThreadingHTTPServer):
    """Answers for the addresses in `answers`, and gives out what it `keeps`; all else it asks the S3 behind it, if any.

    `asked` are the addresses it was asked for.
    """

    daemon_threads = True

    def __init__(self, behind: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = urlsplit(behind)
        self.answers: dict[str, Answer] = {}
        self.keeps: dict[str, bytes] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def odd_s3(behind: str = "") -> Iterator[OddS3]:
    server = OddS3(behind)
    listen(server)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OddS3

    def _any(self) -> None:
        address = f"s3://{unquote(self.path.partition('?')[0].removeprefix('/'))}"
        self.server.asked.append(address)
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if address in self.server.keeps:
            self._say(Answer(200, None, self.server.keeps[address]))
        elif address in self.server.answers:
            self._say(self.server.answers[address])
        elif self.server.behind.hostname:
            self._say(self._asked_behind(sent))
        else:
            self._say(error(404, "NoSuchKey", "no photo at"))

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _any

    def _asked_behind(self, sent: bytes) -> Answer:
        # Its address is part of what was signed.
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}
        behind = http.client.HTTPConnection(self.server.behind.hostname or "", self.server.behind.port, timeout=120)
        try:
            behind.request(self.command, self.path, sent or None, headers)
            said = behind.getresponse()
            body = said.read()
            length = said.getheader("Content-Length")
            kept = {name: value for name, value in said.getheaders() if name.lower() not in _OF_ONE_HOP}
        finally:
            behind.close()
        kept = {name: value for name, value in kept.items() if name.lower() != "content-length"}
        return Answer(said.status, None, body, kept, int(length) if self.command == "HEAD" and length else None)

    def _say(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        promised = len(answer.body) if answer.promised is None else answer.promised
        self.send_header("Content-Length", str(promised))
        # What was promised and does not come ends with the connection.
        self.close_connection = self.close_connection or promised > len(answer.body)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, *arguments: object) -> None:
        pass
