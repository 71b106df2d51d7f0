"""Photos that show a face too badly are answered with a sentence: nobody is named by them, and nobody is enrolled."""

from collections.abc import Callable

from faceserve.engines.base import Images
from faceserve.errors import BadPhoto
from faceserve.models.generation import Generation
from include.contract.portrait_pixels import portrait_of

OnPhoto = Callable[[bytes, Images], None]
"""Looks at a photo, and at what a model sees of it."""
OnAnswer = Callable[[Generation, Images], None]
"""Looks at what a version sees, before it answers."""


def suiting(photo: bytes) -> OnAnswer:
    """Raises `BadPhoto` where the photo shows too little for the version that answers, whichever that is."""
    return lambda generation, images: demand_portrait(photo, generation, images)


def suiting_the(serving: Callable[[], Generation]) -> OnPhoto:
    """Raises `BadPhoto` for photos that show too little for the version that serves, and what `serving` does."""
    return lambda photo, images: demand_portrait(photo, serving(), images)


def demand_portrait(photo: bytes, generation: Generation, images: Images) -> None:
    """By the bounds of the version that compares; one of before has none. Raises `BadPhoto`."""
    bounds = generation.portrait
    if bounds and (fault := bounds.fault(portrait_of(photo, images[0]))):
        raise BadPhoto(f"{fault}; take another one")
