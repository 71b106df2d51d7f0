"""Photo bytes to model input, the same code in training and serving, so that the two cannot drift apart."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from include.contract import photo_parts
from include.contract.photo import MAX_PHOTO_BYTES, MAX_PHOTO_PIXELS, MIN_PHOTO_SIDE

INPUT_PIXELS = 224
_FORMATS = ("JPEG", "PNG", "WEBP")
# What a process grows by, in bytes a pixel, measured and rounded up: the most takes a progressive JPEG in CMYK, but for
# WebP with transparency, which is held four times over.
BYTES_A_PIXEL, _TRANSPARENT_WEBP = 8.5, 17.0
_BAND_ROWS = 256


class UnreadablePhoto(ValueError):
    """Bytes that are no usable photo; the text says why."""


def photo_size(photo: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header alone: a decompression bomb is refused before it is decoded.

    Raises `UnreadablePhoto` for anything but JPEG, PNG and WebP of allowed size.
    """
    found = _header(photo)
    return found.width, found.height


def decoding_bytes(photo: bytes) -> int:
    """How much memory `decode` takes at most, by the size and the kind of the photo. Raises `UnreadablePhoto`."""
    found = _header(photo)
    return int(found.width * found.height * found.bytes_a_pixel)


def decode(photo: bytes) -> npt.NDArray[np.uint8]:
    """RGB pixels, shape [height, width, 3], EXIF orientation applied, reduced while decoding where the size allows it.

    What is transparent shows white, as on the pages where people look at it: the colour hidden under it is nobody's.
    Raises `UnreadablePhoto`.
    """
    found = _header(photo)
    try:
        if found.transparent:
            return _on_white(photo)
        pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), _reduction(min(found.width, found.height)))
    except Exception as error:
        raise UnreadablePhoto(f"photo is damaged: {type(error).__name__} while decoding") from error
    if pixels is None:
        raise UnreadablePhoto("photo is damaged: its pixels cannot be decoded")
    return np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def to_input(photo: bytes) -> npt.NDArray[np.uint8]:
    """Model input of one photo: uint8 RGB [224, 224, 3]; normalisation is part of the model."""
    return resize(decode(photo))


def resize(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Area-averaged to [224, 224, 3]."""
    size = (INPUT_PIXELS, INPUT_PIXELS)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    transparent: bool
    """Whether anything may be."""
    bytes_a_pixel: float
    """Memory that decoding takes."""


def _header(photo: bytes) -> _Header:
    if not photo:
        raise UnreadablePhoto("photo is empty (0 bytes)")
    if len(photo) > MAX_PHOTO_BYTES:
        raise UnreadablePhoto(f"photo of {len(photo)} bytes is over the limit of {MAX_PHOTO_BYTES}")
    if too_many := photo_parts.count(photo).too_many:
        raise UnreadablePhoto(f"photo is {too_many}")
    try:
        with Image.open(io.BytesIO(photo), formats=_FORMATS) as image:
            (width, height), transparent = image.size, image.has_transparency_data
            bytes_a_pixel = _TRANSPARENT_WEBP if transparent and image.format == "WEBP" else BYTES_A_PIXEL
    except Image.DecompressionBombError as error:
        raise UnreadablePhoto(f"photo is over the limit of {MAX_PHOTO_PIXELS} pixels") from error
    except Exception as error:
        # Pillow raises a dozen kinds for damaged headers, and promises none of them.
        raise UnreadablePhoto(f"photo is no readable JPEG, PNG or WebP: {type(error).__name__}") from error
    if width * height > MAX_PHOTO_PIXELS:
        raise UnreadablePhoto(f"photo of {width}×{height} pixels is over the limit of {MAX_PHOTO_PIXELS}")
    if min(width, height) < MIN_PHOTO_SIDE:
        raise UnreadablePhoto(f"photo of {width}×{height} pixels is too small, {MIN_PHOTO_SIDE} needed on each side")
    return _Header(width, height, transparent, bytes_a_pixel)


def _on_white(photo: bytes) -> npt.NDArray[np.uint8]:
    # OpenCV loses the transparent colour of palettes and of RGB; Pillow knows every way to be transparent.
    with Image.open(io.BytesIO(photo), formats=_FORMATS) as image:
        ImageOps.exif_transpose(image, in_place=True)
        found = np.empty((image.height, image.width, 3), np.uint8)
        # Band by band: all at once would take several copies of the whole picture.
        for top in range(0, image.height, _BAND_ROWS):
            band = image.crop((0, top, image.width, min(top + _BAND_ROWS, image.height))).convert("RGBA")
            white = Image.new("RGB", band.size, "white")
            white.paste(band, mask=band.getchannel("A"))
            found[top : top + _BAND_ROWS] = np.asarray(white, np.uint8)
    return found


def _reduction(shorter_side: int) -> int:
    """Decode JPEG at 1/2, 1/4 or 1/8 when at least twice the input size remains."""
    for factor, flag in (
        (8, cv2.IMREAD_REDUCED_COLOR_8),
        (4, cv2.IMREAD_REDUCED_COLOR_4),
        (2, cv2.IMREAD_REDUCED_COLOR_2),
    ):
        if shorter_side >= factor * 2 * INPUT_PIXELS:
            return int(flag)
    return int(cv2.IMREAD_COLOR)
