"""Scores of every pair of photos, as the statistics of faces ask for them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.domain.faces.curves import BINS, Scores
from pipeline.domain.faces.rates import Impostor, Trials

Vectors = npt.NDArray[np.float32]
_ROWS = 1024


def trials_of(vectors: Vectors, identities: Sequence[str], *, listed: int, base: Vectors | None = None) -> Trials:
    """Cosines of all pairs of photos of one person, and the `listed` highest of pairs of two people.

    `vectors` float32 [N, width] of unit length, one identity each. People are numbered by name, and their photos
    ordered by the bytes of their `base` vectors (else of these), so that whatever order they come in gives the same,
    and two models that turn one base list the same pairs. Memory grows with N, not with N².
    """
    vectors, names = _in_order(vectors, identities, vectors if base is None else base)
    people, number = np.unique(names, return_inverse=True)
    scores, pairs = np.zeros(0, np.float32), np.zeros((0, 2), np.int64)
    for start in range(0, len(vectors), _ROWS):
        # Once enough are listed, nothing below the last of them is looked at.
        floor = scores[-1] if len(scores) == listed > 0 else np.float32(-np.inf)
        found, between = _between(vectors, number, start, floor)
        scores, pairs = np.concatenate([scores, found]), np.concatenate([pairs, between])
        best = np.argsort(-scores, kind="stable")[:listed]
        scores, pairs = scores[best], pairs[best]
    impostors = (Impostor(float(s), int(a), int(b)) for s, (a, b) in zip(scores, pairs, strict=True))
    counts = np.bincount(number, minlength=len(people))
    mates = (_of_one(vectors[number == person]) for person in range(len(people)))
    return Trials(tuple(map(int, counts)), tuple(mates), tuple(impostors))


def histogram_of(vectors: Vectors, identities: Sequence[str]) -> Scores:
    """Of all pairs of photos; `vectors` as in `trials_of`."""
    number = np.unique(identities, return_inverse=True)[1]
    counts = np.zeros((2, BINS), np.int64)
    for start in range(0, len(vectors), _ROWS):
        cosines = vectors[start : start + _ROWS] @ vectors[start:].T
        # Every pair once, and nobody's photo with itself.
        later = np.arange(cosines.shape[1]) > np.arange(len(cosines))[:, None]
        alike = number[start : start + _ROWS, None] == number[start:]
        bins = np.clip(((cosines + 1) * (BINS / 2)).astype(np.int64), 0, BINS - 1)
        for row, chosen in enumerate((alike, ~alike)):
            counts[row] += np.bincount(bins[later & chosen], minlength=BINS)
    mates, impostors = counts.tolist()
    return Scores(tuple(mates), tuple(impostors))


def _in_order(vectors: Vectors, identities: Sequence[str], base: Vectors) -> tuple[Vectors, npt.NDArray[np.str_]]:
    order = sorted(range(len(identities)), key=lambda i: (identities[i], base[i].tobytes()))
    return vectors[order], np.array(identities)[order]


def _of_one(photos: Vectors) -> tuple[float, ...]:
    first, second = np.triu_indices(len(photos), 1)
    return tuple(map(float, (photos @ photos.T)[first, second]))


def _between(
    vectors: Vectors, number: npt.NDArray[np.int64], start: int, floor: np.float32
) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Scores of at least `floor` of two people each, and their numbers; of photos from `start` on with those after."""
    block, later = number[start : start + _ROWS], number[start:]
    cosines = vectors[start : start + _ROWS] @ vectors[start:].T
    # People are in order: whoever comes later has a higher number, and each pair is met once.
    row, column = np.nonzero((cosines >= floor) & (later > block[:, None]))
    return cosines[row, column], np.stack([block[row], later[column]], 1)
