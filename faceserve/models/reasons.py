"""Reasons for a correction that a photo suggests, most likely first; a model may come without."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from faceserve.errors import BadArtifact
from include.contract.manifest import REASONS, ArtifactManifest

_LIKELIEST = 3
Floats = npt.NDArray[np.float32]


class Reasons:
    """Of `names` [R] with `weights` [width, R] and `bias` [R]."""

    def __init__(self, names: Sequence[str], weights: Floats, bias: Floats) -> None:
        self._names, self._weights, self._bias = tuple(names), weights, bias

    @classmethod
    def none(cls) -> Self:
        return cls((), np.zeros((0, 0), np.float32), np.zeros(0, np.float32))

    @classmethod
    def of(cls, folder: Path, manifest: ArtifactManifest) -> Self:
        """Those in the artifact's folder. Raises `BadArtifact` for such that do not fit the model."""
        if REASONS not in manifest.files:
            return cls.none()
        try:
            with np.load(folder / REASONS, allow_pickle=False) as kept:
                names, weights, bias = kept["names"].tolist(), kept["weights"], kept["bias"]
        except (OSError, ValueError, KeyError) as error:
            raise BadArtifact(f"{REASONS} cannot be read: {type(error).__name__}") from None
        if weights.shape != (manifest.feature_width, len(names)) or bias.shape != (len(names),):
            raise BadArtifact(f"{REASONS} does not fit features of width {manifest.feature_width}")
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise BadArtifact(f"{REASONS} has values that are not finite")
        return cls(names, weights, bias)

    def likeliest(self, features: Floats) -> list[tuple[str, float]]:
        """Name and probability, 0-1, of at most three; `features` [width] are those of one photo."""
        if not self._names:
            return []
        # Beyond this the probability is 0 or 1 to every digit, and the exponential too large for its type.
        scores = np.clip(features.astype(np.float64) @ self._weights + self._bias, -60, 60)
        order = np.argsort(-scores, kind="stable")[:_LIKELIEST]
        return [(self._names[at], float(1 / (1 + np.exp(-scores[at])))) for at in order]
