"""From a photo to its embedding."""

import numpy as np
import numpy.typing as npt

from faceserve.engines.base import InferenceEngine


class FeatureExtractor:
    """Unit-length embeddings of one engine; vectors of two engines must never be compared."""

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine = engine

    def extract(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Float32 [N, width], each of length 1 (a zero vector stays zero)."""
        features = self._engine.infer(images).features
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        return np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0)
