"""A face model is measured as it would serve: its threshold set by some people, its errors counted on others."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.domain.faces.gate import Champion, FaceGatePolicy, FaceMeasurement, Gallery, Spread
from pipeline.domain.faces.rates import Trials, decided, threshold_for
from pipeline.learning.faces.head import Array, Head
from pipeline.learning.faces.scores import histogram_of, trials_of

# Impostors are listed down to where so many times as many would be let in as may be.
_LISTED = 20


@dataclass(frozen=True, eq=False)
class Faces:
    """Base embeddings float32 [N, width], and the canonical name of whom each shows; `slices` hold such names."""

    base: Array
    identities: Sequence[str]
    slices: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Served:
    """A version as it answers: its head and the threshold that goes with it."""

    version: str
    head: Head
    threshold: float


def threshold_of(head: Head, calibrate: Faces, far: float) -> float:
    """The cosine from which on two photos are taken for one person; see `threshold_for`."""
    return threshold_for(_trials(head, calibrate, far), far)


def measure(
    candidate: Served, test: Faces, gallery: Faces, champion: Served | None, policy: FaceGatePolicy
) -> FaceMeasurement:
    """On the people of the test side; `gallery` holds one photo of everybody who is enrolled."""
    far = policy.target(len(set(test.identities)))
    projected = candidate.head.project(test.base)
    trials = _trials(candidate.head, test, far)
    errors = decided(trials, candidate.threshold)
    beside = _beside(champion, candidate.threshold, trials, test, far) if champion else None
    return FaceMeasurement(
        errors,
        spread_of(projected),
        self_check(candidate.head, gallery),
        beside,
        _numbered(test),
        histogram_of(projected, test.identities),
    )


def _beside(champion: Served, threshold: float, ours: Trials, test: Faces, far: float) -> Champion:
    theirs = _trials(champion.head, test, far)
    flipped = tuple(
        sum(before >= champion.threshold and now < threshold for before, now in zip(*scores, strict=True))
        for scores in zip(theirs.mates, ours.mates, strict=True)
    )
    scores = histogram_of(champion.head.project(test.base), test.identities)
    return Champion(champion.version, decided(theirs, champion.threshold), flipped, scores)


def _numbered(faces: Faces) -> Mapping[str, frozenset[int]]:
    """People of each slice by the numbers that trials give them."""
    number = {name: at for at, name in enumerate(np.unique(faces.identities).tolist())}
    return {name: frozenset(number[who] for who in people) for name, people in faces.slices.items()}


def tar_score(calibrate: Faces, far: float) -> Callable[[Head], float]:
    """What learning is stopped by: the TAR of the calibrate side where its FAR is `far`."""

    def score(head: Head) -> float:
        trials = _trials(head, calibrate, far)
        everybody = [1] * trials.identities
        # Without room for chance, which changes nothing about which head is better.
        allowed = int(far * trials.impostor_pairs(everybody))
        first_too_many = trials.impostors[min(allowed, len(trials.impostors) - 1)]
        return decided(trials, math.nextafter(first_too_many.score, math.inf)).tar(everybody)

    return score


def spread_of(vectors: Array) -> Spread:
    """Of embeddings [N, width]."""
    if not np.isfinite(vectors).all():
        return Spread(False, float("nan"))
    variances = np.linalg.eigvalsh(np.cov(vectors.T.astype(np.float64)))
    total = variances.sum()
    return Spread(True, float(total**2 / (variances**2).sum()) if total > 0 else 0.0)


def self_check(head: Head, gallery: Faces) -> Gallery:
    """Everybody's own photo has to find them first, alone."""
    vectors = head.project(gallery.base)
    lost = 0
    for start in range(0, len(vectors), 1024):
        cosines = vectors[start : start + 1024] @ vectors.T
        rows = np.arange(len(cosines))
        own = cosines[rows, rows + start].copy()
        cosines[rows, rows + start] = -np.inf
        lost += int((~(own > cosines.max(1, initial=-np.inf))).sum())
    return Gallery(len(vectors), lost)


def _trials(head: Head, faces: Faces, far: float) -> Trials:
    people = np.unique(faces.identities, return_counts=True)[1]
    pairs = (people.sum() ** 2 - (people**2).sum()) // 2
    listed = min(int(pairs), max(1000, int(_LISTED * far * pairs)))
    return trials_of(head.project(faces.base), faces.identities, listed=listed, base=faces.base)
