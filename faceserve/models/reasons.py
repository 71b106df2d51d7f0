"""Reasons for a correction that a photo suggests, most likely first; a model may come without."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from faceserve.errors import BadArtifact
from faceserve.models.arrays import read_arrays
from include.contract.manifest import REASONS, ArtifactManifest

_LIKELIEST = 3
_LONGEST_NAME = 200
_MAX_BYTES = 16 << 20
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
        names, weights, bias = read_arrays(folder / REASONS, ("names", "weights", "bias"), _MAX_BYTES)
        if names.dtype.kind != "U" or weights.dtype.kind != "f" or bias.dtype.kind != "f":
            raise BadArtifact(f"{REASONS} needs texts as names, and floating point numbers")
        if names.ndim != 1 or weights.shape != (manifest.feature_width, len(names)) or bias.shape != names.shape:
            raise BadArtifact(f"{REASONS} does not fit features of width {manifest.feature_width}")
        with np.errstate(over="ignore"):
            weights, bias = weights.astype(np.float32), bias.astype(np.float32)
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise BadArtifact(f"{REASONS} has values that are not finite")
        # NumPy's type gives the longest length, in characters of four bytes.
        if names.dtype.itemsize > 4 * _LONGEST_NAME:
            raise BadArtifact(f"{REASONS} has names of more than {_LONGEST_NAME} characters")
        return cls(_texts(names), weights, bias)

    def likeliest(self, features: Floats) -> list[tuple[str, float]]:
        """Name and probability, 0-1, of at most three; `features` [width] are those of one photo."""
        if not self._names:
            return []
        # Beyond this the probability is 0 or 1 to every digit, and the exponential too large for its type.
        scores = np.clip(features.astype(np.float64) @ self._weights + self._bias, -60, 60)
        order = np.argsort(-scores, kind="stable")[:_LIKELIEST]
        return [(self._names[at], float(1 / (1 + np.exp(-scores[at])))) for at in order]


def _texts(names: npt.NDArray[np.str_]) -> list[str]:
    """Raises `BadArtifact` for what no message can carry."""
    try:
        found: list[str] = names.tolist()
        "".join(found).encode()
    except ValueError as error:
        raise BadArtifact(f"{REASONS} has names that are no text: {type(error).__name__}") from None
    return found
