"""Photos are decoded within their deadline and within a budget of memory."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from faceserve.errors import BadPhoto, TooLate
from faceserve.inference import darkroom as module
from faceserve.inference.darkroom import Darkroom
from include.contract.preprocessing import decoding_bytes
from tests.tiny_model import grey_photo
from tests.waiting import until

SMALL, LARGE = grey_photo(20, 100, 100), grey_photo(20, 400, 400)
WHOLE = grey_photo(20, 600, 600)
NEVER = float("inf")


@pytest.fixture
def decoding(monkeypatch):
    """Decoding waits for `open`; `inside` are the sizes in bytes of what is being decoded."""

    class Decoding:
        open, inside, began, lock = threading.Event(), [], [], threading.Lock()

    def slow(photos):
        with Decoding.lock:
            Decoding.inside.append(len(photos[0]))
            Decoding.began.append(len(photos[0]))
        Decoding.open.wait(60)
        with Decoding.lock:
            Decoding.inside.remove(len(photos[0]))
        return np.zeros((1, 224, 224, 3), np.uint8)

    monkeypatch.setattr(module, "decoded", slow)
    yield Decoding
    Decoding.open.set()


def test_photos_come_out_in_order():
    found = Darkroom(10**8).decoded([grey_photo(0), grey_photo(255), grey_photo(0)])
    assert [int(one.mean() > 127) for one in found] == [0, 1, 0]
    assert found.shape == (3, 224, 224, 3)


def test_what_fits_beside_others_does_not_wait_for_them(decoding):
    room = Darkroom(decoding_bytes(LARGE) + decoding_bytes(SMALL))
    with ThreadPoolExecutor(8) as pool:
        photos = [pool.submit(room.decoded, [photo]) for photo in (LARGE, SMALL)]
        until(lambda: len(decoding.inside) == 2, "both at once")
        decoding.open.set()
        assert [len(one.result(60)) for one in photos] == [1, 1]


class Queue:
    """Callers that come one after the other while a first photo, alone in the room, is still in work."""

    def __init__(self, decoding, budget_bytes=1):
        self.room, self.decoding, self.pool = Darkroom(budget_bytes), decoding, ThreadPoolExecutor(32)
        self.photos = [self.pool.submit(self.room.decoded, [WHOLE])]
        until(lambda: decoding.inside, "the first")

    def joins(self, work, *asked):
        before = self.room.waiting
        self.photos.append(self.pool.submit(work, *asked))
        until(lambda: self.room.waiting > before, "it to queue up")

    def done(self):
        """How many photos came of each."""
        self.decoding.open.set()
        with self.pool:
            return [len(one.result(60)) if not one.exception(60) else 0 for one in self.photos]


def test_a_large_photo_keeps_its_turn_however_many_small_ones_come_after_it(decoding):
    queue = Queue(decoding, decoding_bytes(WHOLE) + 2 * decoding_bytes(SMALL))
    queue.joins(queue.room.decoded, [LARGE])
    for _ in range(4):
        queue.joins(queue.room.decoded, [SMALL])
    assert decoding.inside == [len(WHOLE)]
    assert queue.done() == [1] * 6


def test_a_gallery_comes_next_and_all_others_in_the_order_of_their_arrival(decoding):
    queue = Queue(decoding)
    queue.joins(queue.room.decoded, [SMALL])
    queue.joins(queue.room.decoded_next, LARGE)
    assert queue.done() == [1, 1, 1]
    assert decoding.began == [len(photo) for photo in (WHOLE, LARGE, SMALL)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(64, 90), st.booleans()), max_size=8))
def test_whoever_stays_is_served_in_the_order_of_arrival_and_whoever_goes_is_not(decoding, callers):
    decoding.open.clear()
    decoding.began.clear()
    queue, gone = Queue(decoding), threading.Event()
    photos = [grey_photo(20, side, 100 + number) for number, (side, _) in enumerate(callers)]
    for photo, (_, stays) in zip(photos, callers, strict=True):
        queue.joins(queue.room.decoded, [photo], NEVER, lambda stays=stays: stays or not gone.is_set())
    gone.set()
    assert queue.done() == [1, *(int(stays) for _, stays in callers)]
    stayed = [len(photo) for photo, (_, stays) in zip(photos, callers, strict=True) if stays]
    assert decoding.began == [len(WHOLE), *stayed]
    assert queue.room.waiting == 0


# Of every kind that costs something: (mode, format, saved how).
KINDS = [
    ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
    ("CMYK", "JPEG", {"progressive": True}),
    ("L", "PNG", {}),
    ("RGB", "PNG", {}),
    ("P", "PNG", {"transparency": 1}),
    ("LA", "PNG", {}),
    ("RGBA", "PNG", {}),
    ("RGB", "WEBP", {"lossless": True}),
    ("RGBA", "WEBP", {"lossless": True}),
]


_GROWN = """
import sys
from pathlib import Path
from include.contract.preprocessing import to_input
def peak(name):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith(name)) << 10
for path in sys.argv[1:]:
    photo = Path(path).read_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    before = peak("VmRSS")
    to_input(photo)
    print(peak("VmHWM") - before)
"""


def test_a_photo_takes_no_more_memory_than_is_set_aside_for_its_kind(tmp_path):
    photos = [tmp_path / "first", *(tmp_path / f"{mode}.{kind}" for mode, kind, _ in KINDS)]
    Image.new("RGBA", (64, 64)).save(photos[0], "PNG")
    for photo, (mode, kind, how) in zip(photos[1:], KINDS, strict=True):
        Image.new(mode, (2000, 2001), 9 if len(mode) == 1 else (9,) * len(mode)).save(photo, kind, **how)
    found = subprocess.run([sys.executable, "-c", _GROWN, *photos], capture_output=True, check=True, text=True)
    grown = dict(zip(photos, map(int, found.stdout.split()), strict=True))
    spared = {photo.name: decoding_bytes(photo.read_bytes()) + (4 << 20) - grown[photo] for photo in photos[1:]}
    assert {name: spare for name, spare in spared.items() if spare < 0} == {}


def test_a_photo_larger_than_the_budget_is_worked_on_alone(decoding):
    room = Darkroom(1000)
    with ThreadPoolExecutor(8) as pool:
        photos = [pool.submit(room.decoded, [LARGE]) for _ in range(4)]
        until(lambda: decoding.inside, "one")
        time.sleep(0.05)
        assert len(decoding.inside) == 1
        decoding.open.set()
        for one in photos:
            one.result(60)


def test_a_deadline_that_passes_while_others_are_decoded_is_kept(decoding):
    room = Darkroom(1000)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(room.decoded, [LARGE])
        until(lambda: decoding.inside, "the first")
        with pytest.raises(TooLate):
            room.decoded([SMALL], time.monotonic() + 0.05)
        decoding.open.set()
        first.result(60)
    assert len(room.decoded([SMALL])) == 1


def test_of_many_photos_none_is_decoded_after_the_deadline_or_for_a_caller_that_went(monkeypatch):
    made = []
    monkeypatch.setattr(module, "decoded", lambda photos: (made.append(1), np.zeros((1, 2, 2, 3), np.uint8))[1])
    room = Darkroom(10**8)
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
