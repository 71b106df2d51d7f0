"""What a photo is: its hashes, its size, its brightness, or why it cannot be used."""

import hashlib

import imagehash
import numpy as np
from PIL import Image

from include.contract.preprocessing import UnreadablePhoto, decode, photo_size
from pipeline.domain.dataset import Fingerprint


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
        )
