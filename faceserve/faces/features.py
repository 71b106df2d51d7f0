"""From photos to their embeddings."""

import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from faceserve.engines.base import Images, Output
from faceserve.errors import NotFinite
from faceserve.faces.changes import shown

log = logging.getLogger(__name__)


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


def embedded_each(
    extractor: FeatureExtractor, photos: list[tuple[str, Images]]
) -> list[tuple[list[str], npt.NDArray[np.float32]]]:
    """The embedded identities and their vectors; a photo for which the model gives no finite numbers is left
    out alone.
    """
    if not photos:
        return []
    try:
        return [([who for who, _ in photos], extractor.extract(np.concatenate([image for _, image in photos])))]
    except NotFinite as error:
        if len(photos) == 1:
            log.warning("%s is set aside, nobody is compared with it: %s", shown(photos[0][0]), error)
            return []
        half = len(photos) // 2
        return [*embedded_each(extractor, photos[:half]), *embedded_each(extractor, photos[half:])]
