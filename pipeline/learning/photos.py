"""What a photo is: its hashes, its size, its brightness, or why it cannot be used."""

import hashlib

import cv2
import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

from include.contract.preprocessing import UnreadablePhoto, decode, photo_size
from pipeline.domain.dataset import Fingerprint

_SHARPNESS_PIXELS = 256


class PillowPhotoInspector:
    def fingerprint(self, photo: bytes) -> Fingerprint:
        try:
            width, height = photo_size(photo)
            pixels = decode(photo)
        except UnreadablePhoto as error:
            return Fingerprint(fault=str(error))
        perceptual = imagehash.phash(Image.fromarray(pixels))
        return Fingerprint(
            sha256=hashlib.sha256(photo).hexdigest(),
            phash=int(str(perceptual), 16),
            width=width,
            height=height,
            brightness=round(float(np.mean(pixels)) / 255, 4),
            sharpness=_sharpness(pixels),
        )


def _sharpness(pixels: npt.NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the grey photo at 256×256: the size must be the same for figures to compare."""
    grey = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (_SHARPNESS_PIXELS,) * 2, interpolation=cv2.INTER_AREA)
    return round(float(cv2.Laplacian(grey, cv2.CV_32F).var()), 2)
