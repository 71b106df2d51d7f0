"""Photos and rows as nobody should have them, made by code: each with what must be said of it, or None where it is
odd and good."""

import io
import struct
import zlib
from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import Image, PngImagePlugin

from include.contract.photo import MAX_PHOTO_BYTES
from tests.builders import NOW


def pixels(seed=3, width=160, height=128):
    """Noise in blocks: no two regions alike, so that damage, turning and mixed colours show."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    return blocks.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]


def encoded(kind="JPEG", mode="RGB", of=None, **options):
    out = io.BytesIO()
    image = Image.fromarray(pixels() if of is None else of)
    (image if mode == "RGB" else image.convert(mode)).save(out, kind, **options)
    return out.getvalue()


def transparent(hidden, kind="PNG", **options):
    """Wholly transparent, with a colour under it that nobody sees."""
    out = io.BytesIO()
    Image.new("RGBA", (96, 96), (*hidden, 0)).save(out, kind, **options)
    return out.getvalue()


def animated(kind):
    frames = [Image.fromarray(pixels(seed)) for seed in range(3)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


def with_text(compressed, after=False):
    """A PNG with 2 MB of XMP, before its pixels or after them."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 2_000_000, zip=compressed)
    body = encoded("PNG", pnginfo=text)
    if not after:
        return body
    bare = encoded("PNG")
    start = body.index(b"iTXt") - 4
    chunk = body[start : start + 12 + struct.unpack(">I", body[start : start + 4])[0]]
    return bare[:-12] + chunk + bare[-12:]


def _chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of_size(width, height):
    """Its header promises more than its bytes hold."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(b"\0" * 64)) + _chunk(b"IEND", b"")


def with_scans(count, **options):
    """A JPEG whose last scan is there as often as it takes: each time all pixels are gone over again."""
    body = encoded(progressive=True, **options)
    scan = body[body.rindex(b"\xff\xda") : -2]
    return body[:-2] + scan * (count - body.count(b"\xff\xda")) + body[-2:]


def with_segments(count, segment=b"\xff\xfe\x00\x02"):
    """A JPEG with so many comments that say nothing, before its picture."""
    return JPEG[:2] + segment * count + JPEG[2:]


def with_chunks(count, name=b"abCd", *, after=False, **options):
    """A PNG with so many chunks that nobody knows, before its pixels or after them."""
    body = encoded("PNG", **options)
    at = len(body) - 12 if after else 33
    return body[:at] + _chunk(name, b"") * count + body[at:]


_TURNED = Image.Exif()
_TURNED[0x0112] = 6
JPEG, PNG, WEBP = encoded(), encoded("PNG"), encoded("WEBP")

PHOTOS = {
    "zero bytes": (b"", "empty"),
    "text": (b"not a photo at all, whatever its name", "no readable"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no readable"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "no readable"),
    "gif": (encoded("GIF", "P"), "no readable"),
    "bmp": (encoded("BMP"), "no readable"),
    "tiff": (encoded("TIFF"), "no readable"),
    "html": (b"<html><script>alert(1)</script></html>", "no readable"),
    "a zip": (b"PK\x03\x04" + bytes(100), "no readable"),
    "only magic bytes": (JPEG[:4], "no readable"),
    "only a header": (JPEG[:100], "no readable"),
    "truncated JPEG": (JPEG[: len(JPEG) // 2], "no readable|damaged"),
    "JPEG without its last bytes": (JPEG[:-200], "damaged"),
    "truncated PNG": (PNG[: len(PNG) // 2], "damaged"),
    "truncated WebP": (WEBP[: len(WEBP) // 2], "no readable|damaged"),
    "zeros after the header": (JPEG[:700] + bytes(len(JPEG) - 700), "damaged"),
    "JPEG with rubbish behind it": (JPEG + b"rubbish" * 100, None),
    "40 × 40": (encoded(of=pixels(width=40, height=40)), "too small, 64 needed"),
    "63 × 200": (encoded(of=pixels(width=200, height=63)), "too small"),
    "64 × 64": (encoded("PNG", of=pixels(width=64, height=64)), None),
    "one pixel": (encoded(of=pixels(width=1, height=1)), "too small"),
    "a line": (encoded("PNG", of=pixels(width=6000, height=1)), "too small"),
    "a bomb": (png_of_size(50_000, 50_000), "over the limit"),
    "just over the limit": (png_of_size(10_001, 10_000), "over the limit"),
    "no pixels at all": (png_of_size(0, 0), "no readable|too small"),
    "too many bytes": (JPEG + bytes(MAX_PHOTO_BYTES), "over the limit"),
    "progressive": (encoded(progressive=True), None),
    "as many scans as may be": (with_scans(64), None),
    "a scan more than may be": (with_scans(65), "over the limit of 64 scans"),
    "a thousand scans": (with_scans(1000), "over the limit of 64 scans"),
    "some hundred comments": (with_segments(300), None),
    "thirty thousand comments": (with_segments(30_000), "over the limit of 20000 parts"),
    "thirty thousand bytes before its picture": (with_segments(30_000, b"\xff"), "over the limit of 20000 parts"),
    "some hundred chunks": (with_chunks(300), None),
    "thirty thousand chunks": (with_chunks(30_000), "over the limit of 20000 parts"),
    "thirty thousand chunks behind its pixels": (with_chunks(30_000, after=True), "over the limit of 20000 parts"),
    "thirty thousand empty pieces of its pixels": (with_chunks(30_000, b"IDAT"), "over the limit of 20000 parts"),
    "with what looks like scans behind it": (JPEG + b"\xff\xda" * 500, None),
    "grey": (encoded(mode="L"), None),
    "grey with alpha": (encoded("PNG", "LA"), None),
    "cmyk": (encoded(mode="CMYK"), None),
    "palette": (encoded("PNG", "P"), None),
    "palette with a transparent colour": (encoded("PNG", "P", transparency=0), None),
    "16 bits": (encoded("PNG", "I;16", of=pixels()[:, :, 0].astype(np.uint16) * 257), None),
    "one bit": (encoded("PNG", "1"), None),
    "lossless WebP": (encoded("WEBP", lossless=True), None),
    "transparent PNG": (transparent((255, 0, 0)), None),
    "transparent WebP": (transparent((255, 0, 0), "WEBP", lossless=True, exact=True), None),
    "animated WebP": (animated("WEBP"), None),
    "animated PNG": (animated("PNG"), None),
    "turned": (encoded(exif=_TURNED), None),
    "with 2 MB XMP": (with_text(compressed=False), None),
    "with 2 MB XMP, packed": (with_text(compressed=True), "no readable"),
    "with 2 MB XMP behind its pixels": (with_text(compressed=False, after=True), None),
    "with 2 MB XMP, packed, behind its pixels": (with_text(compressed=True, after=True), None),
}

# A key is bytes: none of these characters means anything in it.
ODD_KEYS = (
    "b3/TASK-1#2.jpg",
    "a?versionId=1",
    "a\tb",
    "a\nb",
    "/x",
    "a//b",
    "한글 사진.jpg",
    "a%2Fb",
    "%2e%2e/x",
    "a b.jpg",
    "a(1).jpg",
    "_x.jpg",
    "a+b.jpg",
    "a..b.jpg",
    "./x",
    "끝.\x1b[31m\x7f",
    "k" * 1024,
    "얼" * 341,
    "...",
    "a;b&c=d",
    " ",
)

# Of a row of the Helper database: what is changed, and what must be said of it.
ROWS = {
    "on hold": ({"final_result": "보류"}, "'보류' is not one of 양호, 불량"),
    "no result": ({"final_result": ""}, "not one of"),
    "the label in English": ({"final_result": "good"}, "not one of"),
    "a label with a space": ({"final_result": "양호 "}, "not one of"),
    "a label as HTML": ({"final_result": "<script>alert(1)</script>"}, "not one of"),
    "2019": ({"confirmed_at": datetime(2019, 6, 1, tzinfo=UTC)}, "before 2020-01-01"),
    "1970": ({"confirmed_at": datetime(1970, 1, 1, tzinfo=UTC)}, "before 2020-01-01"),
    "the first year": ({"confirmed_at": datetime.min.replace(tzinfo=UTC)}, "before 2020-01-01"),
    "tomorrow": ({"confirmed_at": NOW + timedelta(days=1)}, "in the future"),
    "2970": ({"confirmed_at": datetime(2970, 1, 1, tzinfo=UTC)}, "in the future"),
    "the last year": ({"confirmed_at": datetime.max.replace(tzinfo=UTC)}, "in the future"),
    "what the driver cannot read": ({"fault": "confirmed_at 'infinity' is no time that can be read"}, "infinity"),
    "no id": ({"task_id": ""}, "a task id of 0 characters"),
    "an id too long for an index": ({"task_id": "T" * 3000}, "a task id of 3000 characters"),
    "no address": ({"photo_url": ""}, "no photo at"),
    "an odd reason": ({"correction_reason": "<b>\x1b[31m\n" + "얼룩" * 1000}, None),
    "no helper": ({"helper_id": ""}, None),
    "an unknown verdict of the AI": ({"ai_result": "모름"}, None),
    "an id with everything in it": ({"task_id": "../<i>'\"; DROP TABLE tasks; --\n🧺"}, None),
}
