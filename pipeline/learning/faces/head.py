"""The part of a face model that is retrained: a matrix that turns base embeddings into those that are compared."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
# Share of the average variance that is added to every direction: what few photos show of some is chance.
_SHRINKAGE = 0.1


# How much more the directions count in which impostors differ from whom they were taken for; three to ten did alike.
_APART = 3.0
FEWEST_IMPOSTORS = 20


@dataclass(frozen=True, eq=False)
class Impostors:
    """Base embeddings [N, width] of photos of others than the person that each was `taken_for`, by number [N]."""

    base: Array
    taken_for: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Head:
    """`matrix` is float32 [width, width]."""

    matrix: Array

    @classmethod
    def identity(cls, width: int) -> "Head":
        """It changes no base embedding in a single bit, so it answers as no head at all."""
        return cls(np.eye(width, dtype=np.float32))

    def project(self, base: Array) -> Array:
        """Embeddings [N, width] of unit length of base embeddings [N, width]; a vector of zeros stays one."""
        return unit_length(base @ self.matrix)


def unit_length(vectors: Array) -> Array:
    """Float32; a vector of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def whitening(base: Array, person: npt.NDArray[np.int64]) -> Head:
    """What a learned head has to beat: directions in which photos of one person differ count less, in closed form.

    Within-class covariance normalisation (Hatch, Kajarekar, Stolcke 2006) of unit-length `base` [N, width], `person` by
    number [N]. Deterministic.
    """
    vectors = unit_length(base).astype(np.float64)
    means = np.stack([vectors[person == one].mean(0) for one in np.unique(person)])
    apart = vectors - means[np.searchsorted(np.unique(person), person)]
    within = apart.T @ apart / len(apart)
    width = within.shape[0]
    variances, axes = np.linalg.eigh(within + _SHRINKAGE * np.trace(within) / width * np.eye(width))
    # Symmetric, so that axes keep their meaning.
    return _of_size_one(axes @ np.diag(variances**-0.5) @ axes.T)


def apart(base: Array, person: npt.NDArray[np.int64], impostors: Impostors) -> Head:
    """Whitening, and then directions count more in which impostors differ from whom they were taken for.

    As `whitening`; of few impostors that would be chance. What it brings: `python -m include.bench run face-impostors`.
    """
    closed = whitening(base, person).matrix.astype(np.float64)
    vectors = unit_length(base).astype(np.float64)
    means = np.stack([vectors[person == one].mean(0) for one in range(person.max() + 1)])
    differ = (unit_length(impostors.base).astype(np.float64) - means[impostors.taken_for]) @ closed
    between = differ.T @ differ
    variances, axes = np.linalg.eigh(between / np.trace(between) * len(between))
    return _of_size_one(closed @ axes @ np.diag((1 + _APART * variances.clip(0)) ** 0.5) @ axes.T)


def _of_size_one(matrix: npt.NDArray[np.float64]) -> Head:
    """As large as the identity."""
    return Head((matrix * np.sqrt(len(matrix)) / np.linalg.norm(matrix)).astype(np.float32))
