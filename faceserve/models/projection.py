"""How a face model transforms the embeddings of a base network that models share: one model's embedding gives the
other's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from faceserve.errors import BadArtifact
from faceserve.models.arrays import read_arrays
from include.contract.manifest import HEAD, ArtifactManifest

_MAX_BYTES = 64 << 20
# A matrix that nearly loses a direction cannot be inverted exactly enough.
_WORST_CONDITION = 1e3


@dataclass(frozen=True, eq=False)
class Projection:
    """`matrix` float64 [width, width] turns what the network `base` says."""

    base: str
    matrix: npt.NDArray[np.float64]

    @classmethod
    def of(cls, folder: Path, manifest: ArtifactManifest) -> Self | None:
        """None for a model without one, or whose matrix cannot be inverted. Raises `BadArtifact`."""
        base = manifest.extra.get("base_sha256")
        if HEAD not in manifest.files or not isinstance(base, str) or not (folder / HEAD).exists():
            return None
        (matrix,) = read_arrays(folder / HEAD, ("matrix",), _MAX_BYTES)
        width = manifest.feature_width
        if matrix.dtype.kind != "f" or matrix.shape != (width, width):
            raise BadArtifact(f"{HEAD} is no matrix of numbers for features of width {width}")
        with np.errstate(over="ignore"):
            matrix = matrix.astype(np.float64)
        if not np.isfinite(matrix).all():
            raise BadArtifact(f"{HEAD} has values that are not finite")
        return cls(base, matrix) if np.linalg.cond(matrix) < _WORST_CONDITION else None

    def to(self, other: "Projection") -> npt.NDArray[np.float64] | None:
        """The matrix that turns embeddings of this model into those of the other, lengths aside; None where their bases
        differ.
        """
        if self.base != other.base or self.matrix.shape != other.matrix.shape:
            return None
        return np.asarray(np.linalg.solve(self.matrix, other.matrix), np.float64)
