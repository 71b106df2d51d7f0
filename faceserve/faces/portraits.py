"""Photos that show a face too badly are answered with a sentence: nobody is named by them, and nobody is enrolled."""

from collections.abc import Callable

from faceserve.engines.base import Images
from faceserve.errors import BadPhoto
from include.contract.portrait import PortraitBounds
from include.contract.portrait_pixels import portrait_of

Bounds = PortraitBounds | None
"""A model of before has none."""
OnPhoto = Callable[[bytes, Images], None]


def demand_portrait(bounds: Bounds, photo: bytes, images: Images) -> None:
    """`images` are the photo as a model sees it. Raises `BadPhoto`."""
    if bounds and (fault := bounds.fault(portrait_of(photo, images[0]))):
        raise BadPhoto(f"{fault}; take another one")
