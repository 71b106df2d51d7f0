"""VectorComparisonEngine: which enrolled embedding is nearest (specification, messages 35-39; design D7)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Match:
    """`similarity` is the cosine, -1 to 1."""

    identity: str
    similarity: float


class VectorComparisonEngine:
    """An immutable gallery of unit-length embeddings of one model; `enrolled` gives a new engine."""

    def __init__(self, identities: tuple[str, ...] = (), vectors: npt.NDArray[np.float32] | None = None) -> None:
        self._identities = identities
        self._vectors = vectors if vectors is not None else np.zeros((0, 0), np.float32)
        if len(identities) != len(self._vectors):
            raise ValueError(f"{len(identities)} identities but {len(self._vectors)} vectors")

    def enrolled(self, identity: str, vector: npt.NDArray[np.float32]) -> "VectorComparisonEngine":
        """A gallery with one more identity, or with its vector replaced."""
        others = self.without(identity)
        if len(others) and others._vectors.shape[1] != len(vector):
            raise ValueError(f"vector has {len(vector)} numbers, the gallery {others._vectors.shape[1]}")
        rows = [others._vectors, vector[None]] if len(others) else [vector[None]]
        return VectorComparisonEngine((*others._identities, identity), np.concatenate(rows))

    def without(self, identity: str) -> "VectorComparisonEngine":
        kept = [i for i, known in enumerate(self._identities) if known != identity]
        return VectorComparisonEngine(tuple(self._identities[i] for i in kept), self._vectors[kept])

    def nearest(self, vector: npt.NDArray[np.float32], count: int = 1) -> list[Match]:
        """Most similar first; empty when nobody is enrolled."""
        if not self._identities:
            return []
        similarities = self._vectors @ vector
        order = np.argsort(-similarities, kind="stable")[:count]
        return [Match(self._identities[i], float(similarities[i])) for i in order]

    def __len__(self) -> int:
        return len(self._identities)
