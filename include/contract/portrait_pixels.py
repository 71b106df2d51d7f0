"""A photo of a face in the figures that it is judged by."""

import cv2
import numpy as np
import numpy.typing as npt

from include.contract.portrait import Portrait
from include.contract.preprocessing import photo_size

# Of the smoothing, in pixels of the model's input.
_SMOOTHED_PIXELS = 3.0
# Grey values of one shade are no measure of anything.
_LEAST_VARIANCE = 1.0


def portrait_of(photo: bytes, image: npt.NDArray[np.uint8]) -> Portrait:
    """`image` is what `to_input` makes of the photo. Raises `UnreadablePhoto`."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), _SMOOTHED_PIXELS)
    edges = float(cv2.Laplacian(smooth, cv2.CV_32F).var())
    return Portrait(
        shorter_side=min(photo_size(photo)),
        brightness=float(grey.mean()) / 255,
        contrast=float(grey.std()) / 255,
        sharpness=1000 * edges / max(float(smooth.var()), _LEAST_VARIANCE),
    )
