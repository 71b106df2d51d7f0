"""A face model is measured as it would serve: its threshold set by some people, its errors counted on others."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from include.contract.identification import SIZES, Thresholds, threshold_among
from pipeline.domain.faces.gate import FaceGatePolicy
from pipeline.domain.faces.measured import Champion, FaceMeasurement, Gallery, Sought, Spread
from pipeline.domain.faces.rates import Trials, decided, threshold_for, thresholds_among
from pipeline.learning.faces.head import Array, Head
from pipeline.learning.faces.scores import histogram_of, trials_of

# Impostors are listed down to where so many times as many would be let in as may be.
_LISTED = 20


@dataclass(frozen=True, eq=False)
class Faces:
    """Base embeddings float32 [N, width], and the canonical name of whom each shows; `slices` hold such names.

    Photos of one person are ordered by `order` [N, any width], else by `base`: what two networks say of the same photos
    has to have the same.
    """

    base: Array
    identities: Sequence[str]
    slices: Mapping[str, frozenset[str]] = field(default_factory=dict)
    order: Array | None = None


@dataclass(frozen=True, eq=False)
class Served:
    """A version as it answers: its head, and the thresholds that go with it, for one person and among many.

    `seen` are photos by the candidate's network and by its own, where that is another one.
    """

    version: str
    head: Head
    threshold: float
    identification: Thresholds = ()
    seen: tuple[Faces, Faces] | None = None


def threshold_of(head: Head, calibrate: Faces, far: float) -> float:
    """The cosine from which on two photos are taken for one person; see `threshold_for`."""
    return threshold_for(_trials(head, calibrate, far), far)


def thresholds_of(head: Head, calibrate: Faces, policy: FaceGatePolicy, alone: float, far: float) -> Thresholds:
    """The cosine from which on somebody is named among so many people, never less than `alone`, the one for 1:1.

    It ends where even the same photo would be too little alike: of more people nobody is named.
    """
    found = thresholds_among(_trials(head, calibrate, far), SIZES, policy.fpir)
    among = [(people, max(alone, threshold)) for people, threshold in zip(SIZES, found, strict=True) if threshold <= 1]
    return tuple(among or [(1, alone)])


def measure(
    candidate: Served, test: Faces, gallery: Faces, champion: Served | None, policy: FaceGatePolicy
) -> FaceMeasurement:
    """On the people of the test side; `gallery` holds one photo of everybody in the dataset."""
    far = policy.target(len(set(test.identities)))
    projected = candidate.head.project(test.base)
    trials = _trials(candidate.head, test, far)
    errors = decided(trials, candidate.threshold)
    beside = _beside(champion, candidate, test, far) if champion else None
    return FaceMeasurement(
        errors,
        spread_of(projected),
        self_check(candidate.head, gallery),
        beside,
        _numbered(test),
        histogram_of(projected, test.identities),
        sought=sought(candidate, test, gallery),
    )


def _beside(champion: Served, candidate: Served, test: Faces, far: float) -> Champion:
    by_us, by_them = champion.seen or (test, test)
    ours, theirs = _trials(candidate.head, by_us, far), _trials(champion.head, by_them, far)
    flipped = tuple(
        sum(before >= champion.threshold and now < candidate.threshold for before, now in zip(*scores, strict=True))
        for scores in zip(theirs.mates, ours.mates, strict=True)
    )
    scores = histogram_of(champion.head.project(by_them.base), by_them.identities)
    apart = decided(ours, candidate.threshold) if champion.seen else None
    return Champion(champion.version, decided(theirs, champion.threshold), flipped, scores, apart)


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


def sought(model: Served, test: Faces, gallery: Faces) -> Sought:
    """Every photo of the test side is looked for among everybody else, of whom none is the right one (strangers), and
    among all, of whom one is: by the threshold for as many people. A photo is not looked for where it lies itself.
    """
    enrolled, seen = model.head.project(gallery.base), model.head.project(test.base)
    column = {name: at for at, name in enumerate(gallery.identities)}
    own = np.array([column[name] for name in test.identities])
    people, person = np.unique(test.identities, return_inverse=True)
    threshold = threshold_among(len(column) - 1, model.identification, model.threshold)
    counts = np.zeros((4, len(people)), np.int64)
    for start in range(0, len(seen), 1024):
        rows = slice(start, start + 1024)
        cosines, at = seen[rows] @ enrolled.T, np.arange(len(seen[rows]))
        self_ = cosines[at, own[rows]].copy()
        cosines[at, own[rows]] = -np.inf
        others = cosines.max(1)
        mated = (test.base[rows] != gallery.base[own[rows]]).any(1)
        found = mated & (self_ >= threshold) & (self_ > others)
        for row, chosen in enumerate((np.ones_like(mated), others >= threshold, mated, found)):
            counts[row] += np.bincount(person[rows][chosen], minlength=len(people))
    return Sought(len(column) - 1, threshold, *(tuple(row) for row in counts.tolist()))


def self_check(head: Head, gallery: Faces) -> Gallery:
    """Of everybody in the dataset the own photo has to find them first, alone."""
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
    order = faces.base if faces.order is None else faces.order
    return trials_of(head.project(faces.base), faces.identities, listed=listed, base=order)
