"""How much memory decoding a photo takes, computed from its header before the first pixel is decoded.

Measured in processes of their own, of every kind and with nothing saved by compressing well: OpenCV 5.0, Pillow 13.0
(tests/unit/faceserve/inference/test_darkroom.py measures each again).
"""

from PIL import Image

from include.contract.photo_parts import Parts

MAX_DECODING_BYTES = 700_000_000
"""The most that one photo may take; a photo of the costliest kind then has 80 megapixels."""

# Bytes a pixel of the photo. The first three are decoded by OpenCV as a whole, in colour; what is transparent in a PNG
# by Pillow, as RGBA beside the picture on white; of an animation the canvas is held several times over.
_PNG, _WEBP, _TRANSPARENT_WEBP = 6.5, 9.5, 9.5
_TRANSPARENT_PNG = 8.5
_ANIMATED = 12.5
# Phones put a second picture behind the first, for depth or brightness; only the first is decoded.
_JPEG = {"JPEG", "MPO"}
# For a JPEG: bytes per decoded pixel, and per coefficient that is held until the last scan was read.
_OUT, _HELD, _ROWS = 6.0, 2.0, 0.25
BYTES_A_PIXEL = 8.5
"""Bytes that a pixel counts for in settings that limit megapixels."""


def decoding_bytes(image: Image.Image, parts: Parts, reduction: int) -> int:
    """The most that a process grows by.

    `image` was opened, not loaded, and has these parts; a JPEG is decoded at one in `reduction` pixels of each side.
    """
    return int(image.width * image.height * _bytes_a_pixel(image, parts, reduction))


def _bytes_a_pixel(image: Image.Image, parts: Parts, reduction: int) -> float:
    if image.format in _JPEG:
        # One scan of all colours is decoded row by row.
        whole = bool(image.info.get("progressive")) or parts.scans > 1
        return _OUT / reduction**2 + _ROWS + _HELD * len(image.getbands()) * whole
    if parts.animated or getattr(image, "is_animated", False):
        return _ANIMATED
    if image.format == "PNG":
        return _TRANSPARENT_PNG if image.has_transparency_data else _PNG
    return _TRANSPARENT_WEBP if image.has_transparency_data else _WEBP
