"""Near-duplicate photos: which ones belong together (ADR 0001)."""

from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.domain.dataset import Manifest, Photo, Split

NEAR_DUPLICATE_BITS = 4
_PARTS = NEAR_DUPLICATE_BITS + 1
_PART_BITS = 13


class NearDuplicates:
    """An index of 64-bit perceptual hashes that finds those at most `NEAR_DUPLICATE_BITS` bits away.

    Of five parts of two such hashes at least one is equal: looking parts up saves comparing every pair.
    """

    def __init__(self, hashes: Iterable[int] = ()) -> None:
        self._hashes: list[int] = []
        self._by_part: list[dict[int, list[int]]] = [{} for _ in range(_PARTS)]
        for value in hashes:
            self.add(value)

    def add(self, value: int) -> None:
        for part, positions in zip(_parts(value), self._by_part, strict=True):
            positions.setdefault(part, []).append(len(self._hashes))
        self._hashes.append(value)

    def of(self, value: int) -> list[int]:
        """Positions of the hashes near this one, in the order in which they were added."""
        near = {
            position
            for part, positions in zip(_parts(value), self._by_part, strict=True)
            for position in positions.get(part, ())
            if (self._hashes[position] ^ value).bit_count() <= NEAR_DUPLICATE_BITS
        }
        return sorted(near)


class Clusters:
    """Photos come in one after the other; near-duplicates share the cluster of the first.

    `known` are the founders of earlier clusters, oldest first: a new near-duplicate inherits the old cluster, so that
    it can never land on the other side of the split.
    """

    def __init__(self, known: Iterable[int] = ()) -> None:
        self._founders = list(dict.fromkeys(known))
        self._index = NearDuplicates(self._founders)

    def id_of(self, phash: int) -> str:
        """A photo that is like none before founds a cluster."""
        near = self._index.of(phash)
        if not near:
            self._index.add(phash)
            self._founders.append(phash)
        return f"{self._founders[near[0]] if near else phash:016x}"


def cluster_ids(phashes: Sequence[int], known: Iterable[int] = ()) -> list[str]:
    """One cluster id per photo, as `Clusters` gives them."""
    clusters = Clusters(known)
    return [clusters.id_of(phash) for phash in phashes]


def most_of(found: Iterable[tuple[Photo, bool]]) -> tuple[int, int]:
    """Of how many clusters most photos have something, and how many clusters there are: near-duplicates are one piece
    of evidence.
    """
    balance: Counter[str] = Counter()
    for photo, has in found:
        balance[photo.cluster_id] += 1 if has else -1
    return sum(one > 0 for one in balance.values()), len(balance)


def sides_of_clusters(manifest: Manifest) -> dict[str, Split]:
    """The side that each cluster took with this manifest, and keeps; one that was seen only as a held-out correction
    judges models.
    """
    sides: dict[str, Split] = {}
    for photo in manifest.photos:
        if photo.split is Split.HELD_OUT_CORRECTIONS:
            sides.setdefault(photo.cluster_id, Split.HOLDOUT)
        else:
            sides[photo.cluster_id] = photo.split
    return sides


def _parts(value: int) -> list[int]:
    return [(value >> (_PART_BITS * part)) & ((1 << _PART_BITS) - 1) for part in range(_PARTS)]
