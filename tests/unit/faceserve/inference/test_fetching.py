"""Photos are fetched in places of their own, within a time and a size."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from faceserve.errors import Overloaded, StorageUnavailable, TooLarge
from faceserve.inference.fetching import MAX_PHOTO_BYTES, Fetching
from tests.waiting import until

URI = "s3://tasks/one.jpg"


class Store:
    """Each read waits for `open`."""

    def __init__(self):
        self.open = threading.Event()
        self.reads = 0

    def read(self, uri, at_most_bytes):
        self.reads += 1
        self.open.wait(10)
        if uri != URI:
            raise FileNotFoundError(uri)
        return b"photo"[:at_most_bytes]


@pytest.fixture
def store():
    made = Store()
    yield made
    made.open.set()


def test_what_is_there_comes_and_what_is_not_is_told(store):
    store.open.set()
    fetching = Fetching(store, places=1)
    for _ in range(3):
        assert fetching.read(URI) == b"photo"
        with pytest.raises(FileNotFoundError):
            fetching.read("s3://tasks/another.jpg")


def test_beyond_the_places_nobody_waits_and_they_come_back(store):
    fetching = Fetching(store, places=2, seconds=10)
    with ThreadPoolExecutor(2) as pool:
        first = [pool.submit(fetching.read, URI) for _ in range(2)]
        until(lambda: store.reads == 2, "both to begin")
        with pytest.raises(Overloaded, match="2 photos are being fetched"):
            fetching.read(URI)
        store.open.set()
        assert [one.result(5) for one in first] == [b"photo"] * 2
    assert fetching.read(URI) == b"photo"


def test_a_store_that_does_not_answer_keeps_its_place_and_no_caller(store):
    fetching = Fetching(store, places=1, seconds=0.1)
    with pytest.raises(StorageUnavailable, match="did not come within 0.1 s"):
        fetching.read(URI)
    with pytest.raises(Overloaded):
        fetching.read(URI)
    store.open.set()
    until(lambda: answered(fetching), "the place to be free again")


def test_where_no_thread_starts_a_photo_is_refused_and_its_place_is_free_again(store, monkeypatch):
    fetching = Fetching(store, places=1)
    with monkeypatch.context() as shortage:
        shortage.setattr(threading.Thread, "start", no_thread)
        for _ in range(3):
            with pytest.raises(Overloaded, match="no thread could start"):
                fetching.read(URI)
    store.open.set()
    assert fetching.read(URI) == b"photo"


def no_thread(thread):
    raise RuntimeError("can't start new thread")


def answered(fetching):
    try:
        return fetching.read(URI) == b"photo"
    except Overloaded:
        return False


def test_nothing_larger_than_a_photo_is_read():
    class Large:
        def read(self, uri, at_most_bytes):
            assert at_most_bytes == MAX_PHOTO_BYTES == 32 << 20
            raise TooLarge("too large")

    with pytest.raises(TooLarge):
        Fetching(Large()).read(URI)
