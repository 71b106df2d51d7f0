"""Photos are decoded within their deadline and within a budget of pixels."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from faceserve.errors import BadPhoto, TooLate
from faceserve.inference import darkroom as module
from faceserve.inference.darkroom import Darkroom
from tests.tiny_model import grey_photo
from tests.waiting import until

SMALL, LARGE = grey_photo(20, 100, 100), grey_photo(20, 400, 400)


@pytest.fixture
def decoding(monkeypatch):
    """Decoding waits for `open`; `inside` are the sizes in bytes that are being decoded."""

    class Decoding:
        open, inside, lock = threading.Event(), [], threading.Lock()

    def slow(photos):
        with Decoding.lock:
            Decoding.inside.append(len(photos[0]))
        Decoding.open.wait(10)
        with Decoding.lock:
            Decoding.inside.remove(len(photos[0]))
        return np.zeros((1, 224, 224, 3), np.uint8)

    monkeypatch.setattr(module, "decoded", slow)
    yield Decoding
    Decoding.open.set()


def test_photos_come_out_in_order():
    found = Darkroom(10**6).decoded([grey_photo(0), grey_photo(255), grey_photo(0)])
    assert [int(one.mean() > 127) for one in found] == [0, 1, 0]
    assert found.shape == (3, 224, 224, 3)


def test_what_is_over_the_budget_waits_and_what_fits_beside_does_not(decoding):
    room = Darkroom(170_000)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(room.decoded, [LARGE])
        until(lambda: decoding.inside == [len(LARGE)], "the first")
        second = pool.submit(room.decoded, [LARGE])
        small = pool.submit(room.decoded, [SMALL])
        until(lambda: len(decoding.inside) == 2, "the small one beside it")
        assert not second.done()
        decoding.open.set()
        assert [len(one.result(5)) for one in (first, second, small)] == [1, 1, 1]


def test_a_photo_larger_than_the_budget_is_worked_on_alone(decoding):
    room = Darkroom(1000)
    with ThreadPoolExecutor(8) as pool:
        photos = [pool.submit(room.decoded, [LARGE]) for _ in range(4)]
        until(lambda: decoding.inside, "one")
        time.sleep(0.05)
        assert len(decoding.inside) == 1
        decoding.open.set()
        for one in photos:
            one.result(10)


def test_a_deadline_that_passes_while_others_are_decoded_is_kept(decoding):
    room = Darkroom(1000)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(room.decoded, [LARGE])
        until(lambda: decoding.inside, "the first")
        with pytest.raises(TooLate):
            room.decoded([SMALL], time.monotonic() + 0.05)
        decoding.open.set()
        first.result(5)
    assert len(room.decoded([SMALL])) == 1


def test_of_many_photos_none_is_decoded_after_the_deadline_or_for_a_caller_that_went(monkeypatch):
    made = []
    monkeypatch.setattr(module, "decoded", lambda photos: (made.append(1), np.zeros((1, 2, 2, 3), np.uint8))[1])
    room = Darkroom(10**6)
    with pytest.raises(TooLate):
        room.decoded([SMALL] * 64, wanted=lambda: len(made) < 3)
    assert len(made) == 3
    with pytest.raises(TooLate):
        room.decoded([SMALL], time.monotonic() - 1)
    assert len(made) == 3


def test_a_bad_photo_of_several_is_named_by_its_number_and_leaves_the_room_free():
    room = Darkroom(10_000)
    for _ in range(3):
        with pytest.raises(BadPhoto, match="photo 1 of 2: "):
            room.decoded([SMALL, b"no photo"])
    with pytest.raises(BadPhoto, match="^photo is empty"):
        room.decoded([b""])
    assert len(room.decoded([SMALL])) == 1
