"""Photo bytes to model input, the same code in training and serving, so that the two cannot drift apart."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from include.contract import decoding_memory, photo_parts
from include.contract.decoding_memory import MAX_DECODING_BYTES
from include.contract.photo import MAX_PHOTO_BYTES, MAX_PHOTO_PIXELS, MIN_PHOTO_SIDE

INPUT_PIXELS = 224
_FORMATS = ("JPEG", "PNG", "WEBP")
_BAND_ROWS = 256
_FLAGS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
# How a picture is turned upright, by the number that EXIF gives its position.
_TURNS: dict[int, Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]] = {
    2: lambda found: found[:, ::-1],
    3: lambda found: found[::-1, ::-1],
    4: lambda found: found[::-1],
    5: lambda found: found.transpose(1, 0, 2),
    6: lambda found: found.transpose(1, 0, 2)[:, ::-1],
    7: lambda found: found.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda found: found.transpose(1, 0, 2)[::-1],
}


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
    return _header(photo).decoding_bytes


def decode(photo: bytes) -> npt.NDArray[np.uint8]:
    """RGB pixels, shape [height, width, 3], EXIF orientation applied, reduced while decoding where the size allows it.

    What is transparent shows white, as on the pages where people look at it: the colour hidden under it is nobody's.
    Raises `UnreadablePhoto`.
    """
    found = _header(photo)
    try:
        if found.transparent:
            return _on_white(photo)
        pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), _FLAGS[_reduction(min(found.width, found.height))])
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
    decoding_bytes: int
    """Memory that decoding takes."""


def _header(photo: bytes) -> _Header:
    if not photo:
        raise UnreadablePhoto("photo is empty (0 bytes)")
    if len(photo) > MAX_PHOTO_BYTES:
        raise UnreadablePhoto(f"photo of {len(photo)} bytes is over the limit of {MAX_PHOTO_BYTES}")
    parts = photo_parts.count(photo)
    if parts.too_many:
        raise UnreadablePhoto(f"photo is {parts.too_many}")
    try:
        with Image.open(io.BytesIO(photo), formats=_FORMATS) as image:
            (width, height), transparent = image.size, image.has_transparency_data
            takes_bytes = decoding_memory.decoding_bytes(image, parts, _reduction(min(image.size)))
    except Image.DecompressionBombError as error:
        raise UnreadablePhoto(f"photo is over the limit of {MAX_PHOTO_PIXELS} pixels") from error
    except Exception as error:
        # Pillow raises a dozen kinds for damaged headers, and promises none of them.
        raise UnreadablePhoto(f"photo is no readable JPEG, PNG or WebP: {type(error).__name__}") from error
    if width * height > MAX_PHOTO_PIXELS:
        raise UnreadablePhoto(f"photo of {width}×{height} pixels is over the limit of {MAX_PHOTO_PIXELS}")
    if min(width, height) < MIN_PHOTO_SIDE:
        raise UnreadablePhoto(f"photo of {width}×{height} pixels is too small, {MIN_PHOTO_SIDE} needed on each side")
    if takes_bytes > MAX_DECODING_BYTES:
        most = f"{MAX_DECODING_BYTES // 1_000_000} MB"
        needed = f"photo of {width}×{height} pixels takes {takes_bytes // 1_000_000} MB to decode"
        raise UnreadablePhoto(f"{needed}, over the limit of {most}")
    return _Header(width, height, transparent, takes_bytes)


def _on_white(photo: bytes) -> npt.NDArray[np.uint8]:
    # Its source is freed before it is turned, because turning holds it twice.
    found, orientation = _as_stored_on_white(photo)
    turn = _TURNS.get(orientation)
    return found if turn is None else np.ascontiguousarray(turn(found))


def _as_stored_on_white(photo: bytes) -> tuple[npt.NDArray[np.uint8], int]:
    """The picture on white, and the number that EXIF gives its position."""
    with Image.open(io.BytesIO(photo), formats=_FORMATS) as image:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        found = np.empty((image.height, image.width, 3), np.uint8)
        # OpenCV loses the transparent colour of palettes and of RGB, Pillow knows every way to be transparent. WebP has
        # one way alone, and of that Pillow holds the whole picture twice as often.
        whole = _decoded_webp(photo) if image.format == "WEBP" else image
        # Band by band: all at once would take several copies of the whole picture.
        for top in range(0, image.height, _BAND_ROWS):
            rows = slice(top, min(top + _BAND_ROWS, image.height))
            found[rows] = _band_on_white(whole, rows)
    return found, orientation


def _decoded_webp(photo: bytes) -> npt.NDArray[np.uint8]:
    """BGRA; of an animation the first picture."""
    pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[2:] != (4,):
        raise ValueError("no picture with transparency")
    return np.asarray(pixels, np.uint8)


def _band_on_white(whole: Image.Image | npt.NDArray[np.uint8], rows: slice) -> npt.NDArray[np.uint8]:
    if isinstance(whole, Image.Image):
        band = whole.crop((0, rows.start, whole.width, rows.stop)).convert("RGBA")
    else:
        band = Image.fromarray(cv2.cvtColor(whole[rows], cv2.COLOR_BGRA2RGBA))
    white = Image.new("RGB", band.size, "white")
    white.paste(band, mask=band.getchannel("A"))
    return np.asarray(white, np.uint8)


def _reduction(shorter_side: int) -> int:
    """Decode at 1/2, 1/4 or 1/8 when at least twice the input size remains."""
    return next((factor for factor in (8, 4, 2) if shorter_side >= factor * 2 * INPUT_PIXELS), 1)
