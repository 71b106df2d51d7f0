"""Objects of a store that answers as S3 does."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from faceserve.errors import TooLarge
from faceserve.storage import S3Source

GIGABYTE = 1 << 30


class Store(BaseHTTPRequestHandler):
    """Says how large the object is and sends it until nobody listens any more; `sent` counts the bytes."""

    sent = 0
    size = GIGABYTE

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(type(self).size))
        self.end_headers()
        try:
            while type(self).sent < type(self).size:
                type(self).sent += self.wfile.write(b"x" * min(1 << 16, type(self).size - type(self).sent))
        except OSError:
            """The other end has heard enough."""

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
        threading.Thread(target=server.serve_forever, daemon=True).start()
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
