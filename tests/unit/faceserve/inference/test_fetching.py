"""Photos are fetched in places of their own, within a time and a size."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceserve.errors import BadPhoto, Overloaded, StorageUnavailable, TooLarge
from faceserve.inference.admission import Admission
from faceserve.inference.fetching import MAX_PHOTO_BYTES, Fetching
from tests.waiting import until

URI = "s3://tasks/one.jpg"


class Store:
    """Each read waits for `open`."""

    def __init__(self):
        self.open = threading.Event()
        self.reads = 0

    def chunks(self, uri, at_most_bytes):
        self.reads += 1
        self.open.wait(60)
        if uri != URI:
            raise FileNotFoundError(uri)
        yield from (b"pho", b"to")


@pytest.fixture
def store():
    made = Store()
    yield made
    made.open.set()


def fetched(fetching, uri=URI):
    with fetching.photo(uri) as photo:
        return photo


def test_what_is_there_comes_and_what_is_not_is_told(store):
    store.open.set()
    fetching = Fetching(store, Admission(9), places=1)
    for _ in range(3):
        assert fetched(fetching) == b"photo"
        with pytest.raises(FileNotFoundError):
            fetched(fetching, "s3://tasks/another.jpg")


def test_beyond_the_places_nobody_waits_and_they_come_back(store):
    fetching = Fetching(store, Admission(9), places=2, seconds=60)
    with ThreadPoolExecutor(2) as pool:
        first = [pool.submit(fetched, fetching) for _ in range(2)]
        until(lambda: store.reads == 2, "both to begin")
        with pytest.raises(Overloaded, match="2 photos are being fetched"):
            fetched(fetching)
        store.open.set()
        assert [one.result(60) for one in first] == [b"photo"] * 2
    assert fetched(fetching) == b"photo"


def test_a_store_that_does_not_answer_keeps_its_place_and_no_caller(store):
    fetching = Fetching(store, Admission(9), places=1, seconds=0.1)
    with pytest.raises(StorageUnavailable, match="did not come within 0.1 s"):
        fetched(fetching)
    with pytest.raises(Overloaded):
        fetched(fetching)
    store.open.set()
    until(lambda: answered(fetching), "the place to be free again")


@pytest.fixture
def admission():
    return Admission(9, max_bytes=8)


def room_bytes(admission):
    """How many bytes more are let in."""
    found = 0
    with suppress(Overloaded), admission.arriving() as held:
        while True:
            held.add(1)
            found += 1
    return found


def test_a_photo_counts_until_it_is_left_and_one_that_finds_no_room_is_refused(store, admission):
    store.open.set()
    fetching = Fetching(store, admission)
    with fetching.photo(URI):
        assert room_bytes(admission) == 3
        with pytest.raises(Overloaded, match="are being worked on or wait"):
            fetched(fetching)
        assert room_bytes(admission) == 3
    assert room_bytes(admission) == 8


def test_what_comes_when_nobody_waits_any_more_counts_until_it_is_dropped(admission):
    class Trickling:
        begun, end = threading.Event(), threading.Event()

        def chunks(self, uri, at_most_bytes):
            yield b"pho"
            self.begun.set()
            self.end.wait(60)
            yield b"to"

    with pytest.raises(StorageUnavailable):
        fetched(Fetching(Trickling(), admission, seconds=0.1))
    assert Trickling.begun.wait(60)
    assert room_bytes(admission) == 5
    Trickling.end.set()
    until(lambda: room_bytes(admission) == 8, "it to be dropped")


@given(st.lists(st.tuples(st.lists(st.binary(max_size=4), max_size=4), st.sampled_from(["whole", "fails", "left"]))))
def test_whatever_comes_of_a_photo_nothing_of_it_counts_in_the_end(photos):
    admission = Admission(9, max_bytes=8)
    for pieces, outcome in photos:

        class Given:
            def chunks(self, uri, at_most_bytes, pieces=pieces, outcome=outcome):
                yield from pieces
                if outcome == "fails":
                    raise FileNotFoundError(uri)

        with suppress(Overloaded, FileNotFoundError, BadPhoto), Fetching(Given(), admission, 1).photo(URI) as photo:
            assert photo == b"".join(pieces)
            assert room_bytes(admission) == 8 - len(photo)
            if outcome == "left":
                raise BadPhoto("it is none")
    assert room_bytes(admission) == 8


def test_where_no_thread_starts_a_photo_is_refused_and_its_place_is_free_again(store, monkeypatch):
    fetching = Fetching(store, Admission(9), places=1)
    with monkeypatch.context() as shortage:
        shortage.setattr(threading.Thread, "start", no_thread)
        for _ in range(3):
            with pytest.raises(Overloaded, match="no thread could start"):
                fetched(fetching)
    store.open.set()
    assert fetched(fetching) == b"photo"


def no_thread(thread):
    raise RuntimeError("can't start new thread")


def answered(fetching):
    try:
        return fetched(fetching) == b"photo"
    except Overloaded:
        return False


def test_nothing_larger_than_a_photo_is_read():
    class Large:
        def chunks(self, uri, at_most_bytes):
            assert at_most_bytes == MAX_PHOTO_BYTES == 32 << 20
            raise TooLarge("too large")

    with pytest.raises(TooLarge):
        fetched(Fetching(Large(), Admission(9)))
