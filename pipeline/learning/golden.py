"""Images of which a model's answers are kept with it, so that a server can tell whether it computes the same.

They are cut from two photos that come with scikit-learn: an artifact holds nobody's photo, and erasing one has nothing
to look for in it. What is compared is arithmetic, for which any natural image will do.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from include.contract.preprocessing import INPUT_PIXELS
from pipeline.domain.artifact_folder import GOLDEN_SOURCE

NOTE = {GOLDEN_SOURCE: "scikit-learn"}
"""What a manifest says of where its golden images are from."""
_PHOTOS, _CUTS_PER_PHOTO, _KEPT, _SEED = ("china.jpg", "flower.jpg"), 32, 16, 7
_SMALLEST_SIDE = 160
# Of two labels, far from a tie, where precision alone may turn an answer, and far from certainty, which hides errors.
_TELLING = 0.8


def candidates() -> npt.NDArray[np.uint8]:
    """Always the same images, uint8 RGB [N, 224, 224, 3]."""
    return np.stack(list(_cuts()))


def most_telling(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Which of the candidates show best whether a server computes what the trainer did; in ascending order."""
    distances = np.abs(probabilities.max(axis=1) - _TELLING)
    return np.sort(np.argsort(distances, kind="stable")[:_KEPT])


def _cuts() -> Iterator[npt.NDArray[np.uint8]]:
    from sklearn.datasets import load_sample_image

    rng = np.random.default_rng(_SEED)
    for name in _PHOTOS:
        photo = load_sample_image(name)
        height, width = photo.shape[:2]
        for _ in range(_CUTS_PER_PHOTO):
            side = int(rng.integers(_SMALLEST_SIDE, height))
            top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
            cut = np.ascontiguousarray(photo[top : top + side, left : left + side])
            yield np.asarray(cv2.resize(cut, (INPUT_PIXELS,) * 2, interpolation=cv2.INTER_AREA), np.uint8)
