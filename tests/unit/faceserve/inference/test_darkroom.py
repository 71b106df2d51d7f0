"""Photos are decoded within their deadline and within a budget of memory."""

import io
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from faceserve.errors import BadPhoto, TooLate
from faceserve.inference import darkroom as module
from faceserve.inference.darkroom import Darkroom
from include.contract.preprocessing import UnreadablePhoto, decoding_bytes
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
    found = Darkroom(10**8, 8).decoded([grey_photo(0), grey_photo(255), grey_photo(0)])
    assert [int(one.mean() > 127) for one in found] == [0, 1, 0]
    assert found.shape == (3, 224, 224, 3)


def test_what_fits_beside_others_does_not_wait_for_them(decoding):
    room = Darkroom(decoding_bytes(LARGE) + decoding_bytes(SMALL), 8)
    with ThreadPoolExecutor(8) as pool:
        photos = [pool.submit(room.decoded, [photo]) for photo in (LARGE, SMALL)]
        until(lambda: len(decoding.inside) == 2, "both at once")
        decoding.open.set()
        assert [len(one.result(60)) for one in photos] == [1, 1]


class Queue:
    """Callers that come one after the other while a first photo, alone in the room, is still in work."""

    def __init__(self, decoding, budget_bytes=1):
        self.room, self.decoding, self.pool = Darkroom(budget_bytes, 8), decoding, ThreadPoolExecutor(32)
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


SIZE = (800, 3000)
"""Narrow, so that none is reduced while it is decoded."""
SLACK = 0.5
"""In bytes a pixel: what is not for pixels."""


def saved(mode, kind, **how):
    """A photo of one colour: no part of it is cheap because of what it shows, but its file is small."""
    out, photo = io.BytesIO(), Image.new(mode, SIZE, 9 if len(mode) == 1 or mode == "I;16" else (9,) * len(mode))
    if how.pop("animated", False):
        how |= {"save_all": True, "append_images": [photo.rotate(180), Image.new(mode, SIZE)]}
    quickest = {"WEBP": {"method": 0, "quality": 20}, "PNG": {"compress_level": 1}, "JPEG": {}, "MPO": {}}
    photo.save(out, kind, **quickest[kind], **how)
    return out.getvalue()


def deep(channels):
    """A PNG of 16 bits."""
    ok, found = cv2.imencode(".png", np.full((SIZE[1], SIZE[0], channels), 777, np.uint16))
    assert ok
    return found.tobytes()


def interlaced(channels, colours):
    """A PNG that comes in seven passes; nothing at hand writes one."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    passes = [(len(range(x, SIZE[0], dx)), len(range(y, SIZE[1], dy))) for x, y, dx, dy in steps]
    rows = b"".join((b"\0" + b"\x09" * channels * width) * height for width, height in passes)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *SIZE, 8, colours, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def one_picture_animated(mode):
    """A WebP that says it is an animation and has one picture."""

    def three(number):
        return number.to_bytes(3, "little")

    def chunk(name, body):
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    still, size = saved(mode, "WEBP", lossless=True), three(SIZE[0] - 1) + three(SIZE[1] - 1)
    pixels = still[still.index(b"VP8L") :]
    pixels = pixels[: 8 + struct.unpack("<I", pixels[4:8])[0]]
    flags = 0x02 | (0x10 if mode == "RGBA" else 0)
    picture = three(0) * 2 + size + three(100) + b"\0" + pixels + b"\0" * (len(pixels) % 2)
    chunks = chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size) + chunk(b"ANIM", b"\0" * 6) + chunk(b"ANMF", picture)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def turned():
    """EXIF says that it lies on its side."""
    made = Image.Exif()
    made[ExifTags.Base.Orientation] = 6
    return made


KINDS = {
    **{f"JPEG {mode}": lambda mode=mode: saved(mode, "JPEG") for mode in ("L", "RGB", "CMYK")},
    **{
        f"JPEG {mode} in scans": lambda mode=mode: saved(mode, "JPEG", progressive=True, subsampling=0)
        for mode in ("L", "RGB", "CMYK")
    },
    "JPEG of several pictures": lambda: saved("RGB", "MPO", animated=True),
    **{f"PNG {mode}": lambda mode=mode: saved(mode, "PNG") for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16")},
    "PNG P transparent": lambda: saved("P", "PNG", transparency=1),
    "PNG RGB transparent": lambda: saved("RGB", "PNG", transparency=(1, 2, 3)),
    **{f"PNG of 16 bits, {channels}": lambda channels=channels: deep(channels) for channels in (1, 3, 4)},
    "PNG interlaced": lambda: interlaced(3, 2),
    "PNG interlaced RGBA": lambda: interlaced(4, 6),
    **{f"PNG animated {mode}": lambda mode=mode: saved(mode, "PNG", animated=True) for mode in ("RGB", "RGBA")},
    **{f"WebP {mode}": lambda mode=mode: saved(mode, "WEBP") for mode in ("RGB", "RGBA")},
    **{f"WebP lossless {mode}": lambda mode=mode: saved(mode, "WEBP", lossless=True) for mode in ("RGB", "RGBA")},
    **{f"WebP animated {mode}": lambda mode=mode: saved(mode, "WEBP", animated=True) for mode in ("RGB", "RGBA")},
    **{f"WebP animated, one {mode}": lambda mode=mode: one_picture_animated(mode) for mode in ("RGB", "RGBA")},
    **{f"{kind} turned": lambda kind=kind: saved("RGBA", kind, exif=turned()) for kind in ("PNG", "WEBP")},
}


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
    # What the first photo of a format has made is not of the one that is measured.
    firsts = [tmp_path / "first.png", tmp_path / "first.jpeg", tmp_path / "first.webp"]
    for first in firsts:
        Image.new("L" if first.suffix == ".jpeg" else "RGBA", (500, 500)).save(first)
    photos = {tmp_path / str(number): (kind, made()) for number, (kind, made) in enumerate(KINDS.items())}
    for path, (_, photo) in photos.items():
        path.write_bytes(photo)
    command = [sys.executable, "-c", _GROWN, *firsts, *photos]
    # What one photo leaves behind must not serve for the next one.
    given_back = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    found = subprocess.run(command, capture_output=True, check=True, text=True, env=given_back).stdout.split()
    a_pixel = 1 / (SIZE[0] * SIZE[1])
    taken = {kind: int(grown) * a_pixel for (kind, _), grown in zip(photos.values(), found[len(firsts) :], strict=True)}
    set_aside = {kind: decoding_bytes(photo) * a_pixel for kind, photo in photos.values()}
    assert {kind: (taken[kind], set_aside[kind]) for kind in taken if taken[kind] > set_aside[kind] + SLACK} == {}
    assert min(taken.values()) > 1


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("kind", "how"), [("JPEG", {}), ("MPO", {"animated": True})])
def test_what_would_take_too_much_is_refused_by_its_header_and_a_large_photo_of_a_phone_is_not(kind, how):
    """Of both only the headers say 100 megapixels; a phone's JPEG may have further pictures behind the first."""
    animated, plain = bytearray(saved("RGBA", "WEBP", animated=True)), bytearray(saved("RGB", kind, **how))
    animated[24:30] = (9_999).to_bytes(3, "little") * 2
    with pytest.raises(UnreadablePhoto, match="10000×10000 pixels takes 1250 MB to decode, over the limit of 700 MB"):
        decoding_bytes(bytes(animated))
    frame = plain.index(b"\xff\xc0") + 5
    plain[frame : frame + 4] = (10_000).to_bytes(2, "big") * 2
    assert decoding_bytes(bytes(plain)) < 50_000_000


def test_a_photo_larger_than_the_budget_is_worked_on_alone(decoding):
    room = Darkroom(1000, 8)
    with ThreadPoolExecutor(8) as pool:
        photos = [pool.submit(room.decoded, [LARGE]) for _ in range(4)]
        until(lambda: decoding.inside, "one")
        time.sleep(0.05)
        assert len(decoding.inside) == 1
        decoding.open.set()
        for one in photos:
            one.result(60)


def test_a_deadline_that_passes_while_others_are_decoded_is_kept(decoding):
    room = Darkroom(1000, 8)
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
    room = Darkroom(10**8, 8)
    with pytest.raises(TooLate):
        room.decoded([SMALL] * 64, wanted=lambda: len(made) < 3)
    assert len(made) == 3
    with pytest.raises(TooLate):
        room.decoded([SMALL], time.monotonic() - 1)
    assert len(made) == 3


def test_a_bad_photo_of_several_is_named_by_its_number_and_leaves_the_room_free():
    room = Darkroom(10_000, 8)
    for _ in range(3):
        with pytest.raises(BadPhoto, match="photo 1 of 2: "):
            room.decoded([SMALL, b"no photo"])
    with pytest.raises(BadPhoto, match="^photo is empty"):
        room.decoded([b""])
    assert len(room.decoded([SMALL])) == 1


def test_no_more_photos_are_in_work_than_the_processors_are_for_however_small_they_are(decoding):
    room = Darkroom(10**9, cores=1)
    with ThreadPoolExecutor(8) as pool:
        photos = [pool.submit(room.decoded, [SMALL]) for _ in range(8)]
        until(lambda: room.waiting == 4, "the others to wait")
        until(lambda: len(decoding.inside) == 4, "four to be in work")
        decoding.open.set()
        assert [len(one.result(60)) for one in photos] == [1] * 8
