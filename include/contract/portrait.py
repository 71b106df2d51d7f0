"""Whether a photo shows a face well enough to be compared: one rule for enrolling, for checks, and for what is learned.

A model is served on such photos as it was learned from and judged on: its artifact names the bounds, and model servers
keep to them.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Portrait:
    """What can be told of a photo without knowing faces: its shorter side in pixels, and of its grey values as a model
    sees them the mean and the standard deviation, 0-1, and how sharp it is.

    `sharpness` is the variance of the Laplacian after a little smoothing, by that of the grey values, times 1000: a
    little noise makes no photo sharp, and little light none blurred.
    """

    shorter_side: int
    brightness: float
    contrast: float
    sharpness: float


@dataclass(frozen=True)
class PortraitBounds:
    """Drawn faces have a sharpness from 0.16 on, also at doors; out of focus by a 25th of the picture, below 0.11."""

    min_side: float = 80
    min_brightness: float = 0.08
    max_brightness: float = 0.92
    min_contrast: float = 0.01
    min_sharpness: float = 0.12

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Raises `ValueError` for what is no such bounds; what a later release adds is left out."""
        if not isinstance(said, Mapping):
            raise ValueError("bounds of a portrait are named")  # noqa: TRY004 - whoever reads what is damaged expects it
        known = {name: said[name] for name in cls.__dataclass_fields__ if name in said}
        # JSON has Infinity, and whole numbers that are larger than any other.
        if not all(type(one) in {int, float} and abs(one) <= sys.float_info.max for one in known.values()):
            raise ValueError("bounds of a portrait are finite numbers")
        return cls(**known)

    def fault(self, seen: Portrait) -> str:
        """What is wrong with it, as a sentence for whoever takes the next one; empty for a photo that will do."""
        if seen.shorter_side < self.min_side:
            return f"the face is too small: {seen.shorter_side} pixels on the shorter side, {self.min_side:g} needed"
        if seen.brightness < self.min_brightness:
            return f"the photo is too dark: brightness {seen.brightness:.2f}, {self.min_brightness:g} needed"
        if seen.brightness > self.max_brightness:
            return f"the photo is overexposed: brightness {seen.brightness:.2f}, {self.max_brightness:g} at most"
        if seen.contrast < self.min_contrast:
            return f"the photo shows no face, but one shade: contrast {seen.contrast:.3f}, {self.min_contrast:g} needed"
        if seen.sharpness < self.min_sharpness:
            return f"the photo is blurred: sharpness {seen.sharpness:.2f}, {self.min_sharpness:g} needed"
        return ""


PORTRAIT = PortraitBounds()
"""What is learned from today."""
