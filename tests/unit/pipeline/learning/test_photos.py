"""What the inspector says of photos as phones send them, and of bytes that are none."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from PIL.ImageFilter import GaussianBlur

from include.contract.preprocessing import to_input
from pipeline.learning.photos import PillowPhotoInspector, percentiles
from tests.corpus.photos import JPEG, PHOTOS, encoded, pixels

# Pillow warns of big headers; here they are meant.
pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

TURNED = Image.Exif()
TURNED[0x0112] = 6


@pytest.mark.parametrize("name", PHOTOS)
def test_an_odd_photo_has_a_fault_with_its_reason_or_a_fingerprint_and_raises_nothing(name):
    photo, reason = PHOTOS[name]
    found = PillowPhotoInspector().fingerprint(photo)
    assert re.search(reason or "^$", found.fault)
    assert bool(found.sha256) is (reason is None)


def test_a_photo_is_seen_upright_whatever_way_the_phone_was_held():
    upright = to_input(encoded(of=np.ascontiguousarray(np.rot90(pixels(), k=3))))
    turned = to_input(encoded(exif=TURNED))
    assert np.abs(upright.astype(int) - turned).mean() < 4


def test_the_same_photo_saved_again_is_a_near_duplicate_and_another_one_is_not():
    inspector = PillowPhotoInspector()
    first, again = inspector.fingerprint(JPEG), inspector.fingerprint(encoded(quality=60))
    other = inspector.fingerprint(encoded(of=255 - pixels()))
    assert first.sha256 != again.sha256
    assert (first.phash ^ again.phash).bit_count() <= 4
    assert (first.phash ^ other.phash).bit_count() > 4


def test_a_blurred_photo_is_less_sharp_and_both_sizes_of_one_photo_are_alike():
    def sharpness(of):
        return PillowPhotoInspector().fingerprint(encoded(of=of, quality=95)).sharpness

    photo = pixels(width=320, height=240)
    sharp, blurred = sharpness(photo), sharpness(np.asarray(Image.fromarray(photo).filter(GaussianBlur(12))))
    assert blurred < 20 < sharp
    large = np.asarray(Image.fromarray(photo).resize((1280, 960)))
    assert sharpness(large) == pytest.approx(sharp, rel=0.3)


def test_a_photo_is_described_by_128_figures():
    described = np.frombuffer(PillowPhotoInspector().fingerprint(JPEG).descriptor, "<f4")
    assert described.shape == (128,) and np.isfinite(described).all()


@given(
    arrays("float32", st.tuples(st.integers(1, 50), st.integers(1, 3)), elements=st.floats(-1e3, 1e3, width=32)),
    st.lists(st.floats(0, 100), min_size=1, max_size=5),
)
def test_percentiles_are_those_of_numpy(values, wanted):
    assert np.allclose(percentiles(values, wanted), np.percentile(values, wanted, axis=0), rtol=1e-5, atol=1e-3)
    assert np.allclose(percentiles(values[:, 0], wanted), np.percentile(values[:, 0], wanted), rtol=1e-5, atol=1e-3)
