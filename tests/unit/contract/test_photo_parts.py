"""Parts of a photo are counted as whoever decodes it goes over them."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from include.contract.photo import MAX_PHOTO_BYTES
from include.contract.photo_parts import MAX_PARTS, count
from tests.corpus.photos import JPEG, PNG, WEBP, encoded, pixels, with_chunks, with_scans, with_segments

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
    assert count(photo).scans == scans


def test_what_a_camera_writes_around_the_picture_is_no_scan():
    exif = Image.Exif()
    exif[0x9286] = JPEG + b"\xff\xda" * 100
    out = io.BytesIO()
    Image.fromarray(pixels()).save(out, "JPEG", progressive=True, exif=exif)
    assert count(out.getvalue() + b"\xff\xda" * 100).scans == 10


@given(at=st.integers(0, len(PROGRESSIVE)), removed=st.integers(0, 40), more=st.binary(max_size=20))
@example(at=len(PROGRESSIVE) - 1, removed=1, more=b"\xff")
@example(at=2, removed=0, more=b"\xff\xda")
@example(at=2, removed=0, more=b"\xff\xd8\xff\x01")
def test_bytes_that_are_no_jpeg_any_more_are_counted_to_their_end(at, removed, more):
    body = PROGRESSIVE[:at] + more + PROGRESSIVE[at + removed :]
    found = count(body)
    assert 0 <= found.scans <= 65 and 0 <= found.parts <= MAX_PARTS + len(body)


@pytest.mark.parametrize(
    ("photo", "parts"),
    [
        (with_segments(500), count(JPEG).parts + 500),
        (with_segments(500, b"\xff"), count(JPEG).parts + 500),
        (with_segments(30_000), MAX_PARTS + 1),
        (with_chunks(500), count(PNG).parts + 500),
        (with_chunks(500, after=True), count(PNG).parts + 500),
        (with_chunks(30_000, b"IDAT"), MAX_PARTS + 1),
        (PNG[:20], 1),
        (PNG[:8], 0),
        (PNG[:33] + b"\xff\xff\xff\xff", 2),
        (WEBP, 0),
        (b"", 0),
    ],
)
def test_parts_are_counted_up_to_one_more_than_there_may_be(photo, parts):
    assert count(photo).parts == parts


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_largest_photo_that_encoders_write_has_few_enough(kind):
    """As many pieces as 32 MB make where each has 8 KB, a common size of an encoder's buffer."""
    most = MAX_PHOTO_BYTES // 8192
    photo = with_chunks(most, b"IDAT") if kind == "PNG" else with_segments(MAX_PHOTO_BYTES // (1 << 16))
    assert count(photo).too_many is None
