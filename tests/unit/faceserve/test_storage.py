"""Objects of a store that answers as S3 does, or as it does on a bad day."""

import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from faceserve.errors import ObjectRefused, StorageUnavailable, TooLarge
from faceserve.storage import S3Source
from tests.listening import listen

GIGABYTE = 1 << 30
SOMEBODY = "s3://faces/face/김철수"


class Store(BaseHTTPRequestHandler):
    """Says how large the object is and sends it until nobody listens any more; `sent` counts the bytes."""

    sent = 0
    size = GIGABYTE
    error = None
    headers_of_error = {}

    def do_GET(self):
        if self.error:
            self.told(*self.error)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(type(self).size))
        self.end_headers()
        try:
            while type(self).sent < type(self).size:
                type(self).sent += self.wfile.write(b"x" * min(1 << 16, type(self).size - type(self).sent))
        except OSError:
            """The other end has heard enough."""

    do_PUT = do_DELETE = lambda self: self.told(*self.error)

    def told(self, status, body):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **self.headers_of_error}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Quiet."""


@pytest.fixture
def store(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    class Own(Store):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        listen(server)
        Own.source = S3Source(f"http://127.0.0.1:{server.server_port}", hurried=True)
        yield Own
        server.shutdown()


def test_an_object_that_is_too_large_is_refused_by_its_header(store):
    with pytest.raises(TooLarge, match=f"has {GIGABYTE} bytes, over the limit of 1000"):
        store.source.read("s3://tasks/large.jpg", 1000)
    assert store.sent < GIGABYTE / 10


def test_an_object_of_just_the_size_is_read(store):
    store.size = 1000
    assert store.source.read("s3://tasks/one.jpg", 1000) == b"x" * 1000


def says(code):
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


# botocore takes the body of an error with a checksum for an object's bytes.
CHECKSUMS = [{}, {"x-amz-checksum-crc32": "AAAAAA=="}, {"x-amz-checksum-sha256": "AAAA"}]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        ((404, says("NoSuchKey")), FileNotFoundError),
        ((404, b""), FileNotFoundError),
        ((403, says("AccessDenied")), ObjectRefused),
        ((403, says("InvalidObjectState")), ObjectRefused),
        ((403, says("InvalidAccessKeyId")), StorageUnavailable),
        ((400, says("Odd")), StorageUnavailable),
        ((403, b"<html>a proxy"), StorageUnavailable),
        ((301, b"\xff"), StorageUnavailable),
    ],
    ids=str,
)
def test_whatever_a_store_says_instead_of_an_object_is_one_of_the_errors_that_are_known(store, error, raised):
    store.error = error
    for store.headers_of_error in CHECKSUMS:
        with pytest.raises(raised):
            store.source.read("s3://tasks/one.jpg")


def hangs_up(store):
    store.told = lambda self, *said: self.wfile.close()
    store.error = (500, b"")


def is_away(store):
    store.source = S3Source("http://127.0.0.1:1", hurried=True)


def names_what_is_refused(store):
    arn = "arn:aws:s3:::faces/face/김철수"
    store.error = (403, f"<Error><Code>AccessDenied</Code><Message>on {arn}</Message></Error>".encode())


@pytest.mark.parametrize("fails", [hangs_up, is_away, names_what_is_refused])
@pytest.mark.parametrize("act", [S3Source.read, S3Source.delete, lambda source, uri: source.write(uri, b"photo")])
def test_what_goes_wrong_with_a_persons_photo_names_nobody(store, fails, act):
    fails(store)
    with pytest.raises((StorageUnavailable, ObjectRefused)) as caught:
        act(store.source, SOMEBODY)
    told = "".join(traceback.format_exception(caught.value))
    assert "S3: " in told and "김" not in told and "%EA" not in told.upper()


def test_a_fault_of_the_store_with_a_checksum_is_an_outage(store):
    store.error, store.headers_of_error = (500, says("InternalError")), CHECKSUMS[1]
    with pytest.raises(StorageUnavailable):
        store.source.read("s3://tasks/one.jpg")


def test_an_object_that_the_store_refuses_is_refused_alone(store):
    store.error = (403, says("AccessDenied"))
    with pytest.raises(ObjectRefused):
        store.source.read("s3://tasks/one.jpg")


def test_an_object_is_compared_with_its_checksum(store):
    store.error, store.headers_of_error = (200, b"hello"), {"x-amz-checksum-crc32": "NhCmhg=="}
    assert store.source.read("s3://tasks/one.jpg") == b"hello"
    store.error = (200, b"hellO")
    with pytest.raises(StorageUnavailable):
        store.source.read("s3://tasks/one.jpg")
