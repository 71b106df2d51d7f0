"""From photos to their embeddings."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from faceserve.engines.base import Images, Output


class FeatureExtractor:
    """Unit-length embeddings of one engine; vectors of two engines must never be compared."""

    def __init__(self, infer: Callable[[Images], Output]) -> None:
        self._infer = infer

    def extract(self, images: Images) -> npt.NDArray[np.float32]:
        """Float32 [N, width], each of length 1 (a zero vector stays zero)."""
        return unit_length(self._infer(images).features)


def unit_length(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0)
