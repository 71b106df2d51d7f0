"""Photo bytes to model input, the same code in training and serving, so that the two cannot drift apart."""

import io

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from include.contract.photo import MAX_PHOTO_BYTES, MAX_PHOTO_PIXELS, MIN_PHOTO_SIDE

INPUT_PIXELS = 224
_FORMATS = ("JPEG", "PNG", "WEBP")


class UnreadablePhoto(ValueError):
    """Bytes that are no usable photo; the text says why."""


def photo_size(photo: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header alone: a decompression bomb is refused before it is decoded.

    Raises `UnreadablePhoto` for anything but JPEG, PNG and WebP of allowed size.
    """
    width, height, _ = _header(photo)
    return width, height


def decode(photo: bytes) -> npt.NDArray[np.uint8]:
    """RGB pixels, shape [height, width, 3], EXIF orientation applied, reduced while decoding where the size allows it.

    What is transparent shows white, as on the pages where people look at it: the colour hidden under it is nobody's.
    Raises `UnreadablePhoto`.
    """
    width, height, transparent = _header(photo)
    try:
        if transparent:
            return _on_white(photo)
        pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), _reduction(min(width, height)))
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


def _header(photo: bytes) -> tuple[int, int, bool]:
    """Width, height, and whether anything may be transparent."""
    if not photo:
        raise UnreadablePhoto("photo is empty (0 bytes)")
    if len(photo) > MAX_PHOTO_BYTES:
        raise UnreadablePhoto(f"photo of {len(photo)} bytes is over the limit of {MAX_PHOTO_BYTES}")
    try:
        with Image.open(io.BytesIO(photo), formats=_FORMATS) as image:
            (width, height), transparent = image.size, image.has_transparency_data
    except Image.DecompressionBombError as error:
        raise UnreadablePhoto(f"photo is over the limit of {MAX_PHOTO_PIXELS} pixels") from error
    except Exception as error:
        # Pillow raises a dozen kinds for damaged headers, and promises none of them.
        raise UnreadablePhoto(f"photo is no readable JPEG, PNG or WebP: {type(error).__name__}") from error
    if width * height > MAX_PHOTO_PIXELS:
        raise UnreadablePhoto(f"photo of {width}×{height} pixels is over the limit of {MAX_PHOTO_PIXELS}")
    if min(width, height) < MIN_PHOTO_SIDE:
        raise UnreadablePhoto(f"photo of {width}×{height} pixels is too small, {MIN_PHOTO_SIDE} needed on each side")
    return width, height, transparent


def _on_white(photo: bytes) -> npt.NDArray[np.uint8]:
    # OpenCV loses the transparent colour of palettes and of RGB; Pillow knows every way to be transparent.
    with Image.open(io.BytesIO(photo), formats=_FORMATS) as image:
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    white = Image.new("RGB", upright.size, "white")
    white.paste(upright, mask=upright.getchannel("A"))
    return np.asarray(white, np.uint8)


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
