"""VectorComparisonEngine: which enrolled embedding is nearest (specification, messages 35-39; design D7)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from faceserve.faces.features import unit_length


@dataclass(frozen=True)
class Match:
    """`similarity` is the cosine, -1 to 1."""

    identity: str
    similarity: float


class VectorComparisonEngine:
    """An immutable gallery of unit-length embeddings of one model; `joined` and `without` give a new one."""

    def __init__(self, identities: Sequence[str] = (), vectors: npt.NDArray[np.float32] | None = None) -> None:
        self._identities = tuple(identities)
        self._vectors = vectors if vectors is not None else np.zeros((0, 0), np.float32)
        if len(identities) != len(self._vectors):
            raise ValueError(f"{len(identities)} identities but {len(self._vectors)} vectors")

    def joined(self, identities: Sequence[str], vectors: Sequence[npt.NDArray[np.float32]]) -> "VectorComparisonEngine":
        """A gallery with these identities, too, or with their vectors replaced; each of `vectors` is [n, width]."""
        if not identities:
            return self
        others, added = self.without(set(identities)), np.concatenate(vectors)
        if len(others) and others._vectors.shape[1] != added.shape[1]:
            raise ValueError(f"vectors have {added.shape[1]} numbers, the gallery {others._vectors.shape[1]}")
        return VectorComparisonEngine(
            (*others._identities, *identities), np.concatenate([others._vectors, added]) if len(others) else added
        )

    def without(self, identities: Collection[str]) -> "VectorComparisonEngine":
        kept = [i for i, known in enumerate(self._identities) if known not in identities]
        if len(kept) == len(self):
            return self
        return VectorComparisonEngine(tuple(self._identities[i] for i in kept), self._vectors[kept])

    def taken_over(self, other: "VectorComparisonEngine", identities: Collection[str]) -> "VectorComparisonEngine":
        """With these people of another gallery of the same model, those that it has."""
        rows = [row for row, known in enumerate(other._identities) if known in identities]
        return self.joined([other._identities[row] for row in rows], [other._vectors[rows]])

    def turned(self, matrix: npt.NDArray[np.float64]) -> "VectorComparisonEngine":
        """The same people in the embeddings of another model, which `matrix` [width, width] makes of these."""
        if not self._identities:
            return self
        return VectorComparisonEngine(self._identities, unit_length((self._vectors @ matrix).astype(np.float32)))

    def nearest(self, vector: npt.NDArray[np.float32], count: int = 1) -> list[Match]:
        """Most similar first; empty when nobody is enrolled."""
        if not self._identities:
            return []
        similarities = self._vectors @ vector
        # Sorting all 100 000 takes longer than comparing with them, so only the best are sorted.
        last = np.partition(similarities, -count)[-count] if count < len(similarities) else -np.inf
        (alike,) = np.nonzero(similarities >= last)
        order = alike[np.argsort(-similarities[alike], kind="stable")][:count]
        return [Match(self._identities[i], float(similarities[i])) for i in order]

    def with_one(self, identity: str, vector: npt.NDArray[np.float32]) -> list[Match]:
        """How much a photo resembles this person; empty when nobody of that name is enrolled."""
        row = self._rows.get(identity)
        return [] if row is None else [Match(identity, float(self._vectors[row] @ vector))]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {identity: row for row, identity in enumerate(self._identities)}

    @property
    def identities(self) -> Sequence[str]:
        return self._identities

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """Float32 [N, width], in the order of `identities`."""
        return self._vectors

    def __len__(self) -> int:
        return len(self._identities)
