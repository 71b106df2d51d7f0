"""Photo bytes to model input, the same code in training and serving, so that the two cannot drift apart."""

import cv2
import numpy as np
import numpy.typing as npt

INPUT_PIXELS = 224
MAX_PHOTO_BYTES = 32 * 1024 * 1024
MAX_PHOTO_PIXELS = 100_000_000
MIN_PHOTO_SIDE = 16


class UnreadablePhoto(ValueError):
    """Bytes that are no usable photo; the text says why."""


def photo_size(photo: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header alone: a decompression bomb is refused before it is decoded.

    Raises `UnreadablePhoto` for anything but JPEG, PNG and WebP of allowed size.
    """
    import io

    from PIL import Image, UnidentifiedImageError

    if not photo:
        raise UnreadablePhoto("photo is empty (0 bytes)")
    if len(photo) > MAX_PHOTO_BYTES:
        raise UnreadablePhoto(f"photo of {len(photo)} bytes is over the limit of {MAX_PHOTO_BYTES}")
    try:
        with Image.open(io.BytesIO(photo), formats=("JPEG", "PNG", "WEBP")) as image:
            width, height = image.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadablePhoto(f"photo is no readable JPEG, PNG or WebP: {type(error).__name__}") from None
    if width * height > MAX_PHOTO_PIXELS:
        raise UnreadablePhoto(f"photo of {width}×{height} pixels is over the limit of {MAX_PHOTO_PIXELS}")
    if min(width, height) < MIN_PHOTO_SIDE:
        raise UnreadablePhoto(f"photo of {width}×{height} pixels is too small, {MIN_PHOTO_SIDE} needed on each side")
    return width, height


def decode(photo: bytes) -> npt.NDArray[np.uint8]:
    """RGB pixels, shape [height, width, 3], EXIF orientation applied, reduced while decoding where the size allows it.

    Raises `UnreadablePhoto`.
    """
    width, height = photo_size(photo)
    pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), _reduction(min(width, height)))
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
