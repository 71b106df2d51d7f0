"""What the inspector says of photos as phones send them, and of bytes that are none."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.ImageFilter import GaussianBlur

from include.contract.preprocessing import MAX_PHOTO_BYTES, to_input
from pipeline.domain.dataset import Augmentation, Manifest
from pipeline.domain.models import ModelType
from pipeline.domain.selection import Recipe, SelectionPolicy
from pipeline.learning.photos import PillowPhotoInspector
from pipeline.ports.bundles import DataSources
from pipeline.steps.collect import collect
from tests.builders import a_task
from tests.fakes.data import FakeCorrectionSource, FakeDatasets, FakeErasures, FakeObjects, FakePhotos


def _pixels(width=320, height=240):
    """Noise in blocks: no two regions alike, so that damage and turning show."""
    blocks = np.random.default_rng(3).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    return blocks.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]


def _encoded(kind="JPEG", mode="RGB", pixels=None, **options):
    out = io.BytesIO()
    image = Image.fromarray(_pixels() if pixels is None else pixels)
    (image if mode == "RGB" else image.convert(mode)).save(out, kind, **options)
    return out.getvalue()


def _png_of_size(width, height):
    """A PNG whose header promises more than its bytes hold."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


# Pillow warns of big headers; here they are meant.
pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

JPEG = _encoded()
TURNED = Image.Exif()
TURNED[0x0112] = 6

BAD = {
    "zero bytes": (b"", "empty"),
    "text": (b"not a photo at all, whatever its name", "no readable JPEG"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no readable JPEG"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "no readable JPEG"),
    "gif": (_encoded("GIF", "P"), "no readable JPEG"),
    "only a header": (JPEG[:100], "no readable JPEG"),
    "truncated JPEG": (JPEG[: len(JPEG) // 2], "damaged"),
    "JPEG without its last bytes": (JPEG[:-200], "damaged"),
    "truncated PNG": (_encoded("PNG")[:-300], "damaged"),
    "garbage after the header": (JPEG[:700] + bytes(len(JPEG) - 700), "damaged"),
    "decompression bomb": (_png_of_size(50_000, 50_000), "no readable JPEG|over the limit"),
    "just over the limit": (_png_of_size(10_001, 10_000), "over the limit"),
    "one pixel": (_encoded(pixels=_pixels(1, 1)), "too small"),
    "a line": (_encoded("PNG", pixels=_pixels(6_000, 1)), "too small"),
    "too many bytes": (JPEG + bytes(MAX_PHOTO_BYTES), "over the limit"),
}

GOOD = {
    "jpeg": JPEG,
    "progressive": _encoded(progressive=True),
    "grey": _encoded(mode="L"),
    "cmyk": _encoded(mode="CMYK"),
    "png with alpha": _encoded("PNG", "RGBA"),
    "palette": _encoded("PNG", "P"),
    "16 bits": _encoded("PNG", "I;16", pixels=_pixels()[:, :, 0].astype(np.uint16) * 257),
    "webp": _encoded("WEBP"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_photo_is_a_fault_with_its_reason_and_no_exception(name):
    photo, reason = BAD[name]
    found = PillowPhotoInspector().fingerprint(photo)
    assert re.search(reason, found.fault)
    assert found.sha256 == ""


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_of_photo_that_is_allowed_becomes_model_input(name):
    found = PillowPhotoInspector().fingerprint(GOOD[name])
    assert (found.fault, found.width, found.height) == ("", 320, 240)
    assert 0.3 < found.brightness < 0.7
    assert to_input(GOOD[name]).shape == (224, 224, 3)


def test_a_photo_is_seen_upright_whatever_way_the_phone_was_held():
    upright = to_input(_encoded(pixels=np.ascontiguousarray(np.rot90(_pixels(), k=3))))
    turned = to_input(_encoded(exif=TURNED))
    assert np.abs(upright.astype(int) - turned).mean() < 4


def test_the_same_photo_saved_again_is_a_near_duplicate_and_another_one_is_not():
    inspector = PillowPhotoInspector()
    first, again = inspector.fingerprint(JPEG), inspector.fingerprint(_encoded(quality=60))
    other = inspector.fingerprint(_encoded(pixels=255 - _pixels()))
    assert first.sha256 != again.sha256
    assert (first.phash ^ again.phash).bit_count() <= 4
    assert (first.phash ^ other.phash).bit_count() > 4


def test_a_blurred_photo_is_less_sharp_and_both_sizes_of_one_photo_are_alike():
    def sharpness(pixels):
        return PillowPhotoInspector().fingerprint(_encoded(pixels=pixels, quality=95)).sharpness

    sharp, blurred = sharpness(_pixels()), sharpness(np.asarray(Image.fromarray(_pixels()).filter(GaussianBlur(12))))
    assert blurred < 20 < sharp
    large = np.asarray(Image.fromarray(_pixels()).resize((1280, 960)))
    assert sharpness(large) == pytest.approx(sharp, rel=0.3)


def test_a_photo_is_described_by_128_figures():
    described = np.frombuffer(PillowPhotoInspector().fingerprint(JPEG).descriptor, "<f4")
    assert described.shape == (128,) and np.isfinite(described).all()


def test_bad_photos_are_set_aside_with_reasons_and_the_good_ones_collected():
    bodies = {"missing": None, "good": JPEG, **{name: body for name, (body, _) in BAD.items()}}
    tasks = {name: a_task(number) for number, name in enumerate(bodies)}
    objects, datasets = FakeObjects(), FakeDatasets()
    sources = DataSources(
        source=FakeCorrectionSource(list(tasks.values())),
        photos=FakePhotos({tasks[name].photo_url: body for name, body in bodies.items() if body is not None}),
        inspector=PillowPhotoInspector(),
        datasets=datasets,
        erasures=FakeErasures(datasets),
        objects=objects,
        recipe=Recipe(("양호", "불량"), SelectionPolicy(), Augmentation()),
        prefix="s3://datasets/",
    )
    collect(sources, "run-1", ModelType.LAUNDRY, since=None)
    manifest = Manifest.from_json(objects.read("s3://datasets/DS-2026-001/manifest.json"))
    assert [photo.task_id for photo in manifest.photos] == [tasks["good"].task_id]
    assert {row.task_id for row in manifest.quarantined} == {t.task_id for n, t in tasks.items() if n != "good"}
    assert all(row.reason for row in manifest.quarantined)
