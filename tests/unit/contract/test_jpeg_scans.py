"""Scans of a JPEG are counted as whoever decodes it goes over them."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from include.contract.jpeg_scans import count_scans
from tests.corpus.photos import JPEG, PNG, encoded, pixels, with_scans

PROGRESSIVE = encoded(progressive=True)


@pytest.mark.parametrize(
    ("photo", "scans"),
    [
        (JPEG, 1),
        (encoded(mode="L"), 1),
        (encoded(mode="CMYK"), 1),
        (PROGRESSIVE, 10),
        (encoded(progressive=True, mode="L"), 6),
        (with_scans(30), 30),
        (with_scans(200), 65),
        (encoded(restart_marker_rows=1), 1),
        (encoded(progressive=True, restart_marker_blocks=1), 10),
        (JPEG.replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1), 1),
        (PNG, 0),
        (b"", 0),
    ],
)
def test_each_scan_counts_once_up_to_one_more_than_there_may_be(photo, scans):
    assert count_scans(photo, 64) == scans


def test_what_a_camera_writes_around_the_picture_is_no_scan():
    exif = Image.Exif()
    exif[0x9286] = JPEG + b"\xff\xda" * 100
    out = io.BytesIO()
    Image.fromarray(pixels()).save(out, "JPEG", progressive=True, exif=exif)
    assert count_scans(out.getvalue() + b"\xff\xda" * 100, 64) == 10


@given(at=st.integers(0, len(PROGRESSIVE)), removed=st.integers(0, 40), more=st.binary(max_size=20))
@example(at=len(PROGRESSIVE) - 1, removed=1, more=b"\xff")
@example(at=2, removed=0, more=b"\xff\xda")
@example(at=2, removed=0, more=b"\xff\xd8\xff\x01")
def test_bytes_that_are_no_jpeg_any_more_are_counted_to_their_end(at, removed, more):
    body = PROGRESSIVE[:at] + more + PROGRESSIVE[at + removed :]
    assert 0 <= count_scans(body, 64) <= 65
