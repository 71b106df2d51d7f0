"""How often the intervals of two rates of faces hold, beside those that count pairs, on people who were generated.

Synthetic: a vector of 128 numbers each, 200 families whose members look alike, people of unequal difficulty, 4 photos
of everybody. The truth is that of a large population.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.bench.measurement import Figures, Found, Say
from pipeline.domain.faces.rates import AtThreshold, Trials, decided, far_interval, tar_interval, threshold_for
from pipeline.domain.statistics import Interval, wilson
from pipeline.learning.faces.scores import trials_of

SIZES = (50, 100, 200, 400)
FAR = 1e-3
_PHOTOS, _WIDTH, _FAMILIES = 4, 128, 200
_REPEATS, _POPULATION, _MATES_DRAWN = 200, 3000, 20


@dataclass(frozen=True)
class Coverage:
    """Shares of the time, 0-1, that the truth lay in the interval; FAR really reached by the threshold chosen."""

    people: int
    tar: float
    far: float
    tar_of_pairs: float
    far_of_pairs: float
    reached_low: float
    reached_high: float
    kept: float


@dataclass(frozen=True)
class Truth:
    """Of the whole population: scores of mates and of impostors, each sorted."""

    mates: npt.NDArray[np.float32]
    impostors: npt.NDArray[np.float32]
    pairs: int

    def tar(self, threshold: float) -> float:
        return float(1 - np.searchsorted(self.mates, threshold) / len(self.mates))

    def far(self, threshold: float) -> float:
        return float((len(self.impostors) - np.searchsorted(self.impostors, threshold)) / self.pairs)


def face_rates(say: Say) -> Found:
    found = []
    population = truth()
    for people in SIZES:
        found.append(coverage(people, population, _REPEATS))
        say(f"{people} people: TAR {found[-1].tar:.0%}, FAR {found[-1].far:.0%} of 95%")
    figures: Figures = {f"tar_coverage_{c.people}_people": c.tar for c in found}
    figures |= {f"far_coverage_{c.people}_people": c.far for c in found}
    figures |= {f"tar_coverage_of_pairs_{c.people}_people": c.tar_of_pairs for c in found}
    figures |= {f"far_coverage_of_pairs_{c.people}_people": c.far_of_pairs for c in found}
    figures |= {f"threshold_keeps_its_far_{c.people}_people": c.kept for c in found}
    how = f"Generated people, {_REPEATS} draws for each number, truth of {_POPULATION}."
    return Found(figures, how)


def coverage(people: int, population: Truth, repeats: int) -> Coverage:
    threshold = float(population.impostors[len(population.impostors) - int(FAR * population.pairs)])
    tar, far = population.tar(threshold), population.far(threshold)
    held = np.zeros(4)
    reached = []
    for repeat in range(repeats):
        seen = drawn_trials(people, seed=1 + repeat)
        errors = decided(seen, threshold)
        intervals = (tar_interval(errors), far_interval(errors), *_of_pairs(errors))
        held += [i.low <= true <= i.high for i, true in zip(intervals, (tar, far, tar, far), strict=True)]
        reached.append(population.far(threshold_for(seen, FAR)))
    low, high = np.percentile(reached, [5, 95])
    kept = float(np.mean([one <= FAR for one in reached]))
    tar_held, far_held, tar_pairs, far_pairs = map(float, held / repeats)
    return Coverage(people, tar_held, far_held, tar_pairs, far_pairs, float(low), float(high), kept)


def drawn_trials(people: int, *, seed: int) -> Trials:
    vectors, names = generated(people, seed=seed)
    pairs = people * (people - 1) // 2 * _PHOTOS**2
    return trials_of(vectors, names, listed=max(2000, int(20 * FAR * pairs)))


def generated(people: int, *, seed: int, photos: int = _PHOTOS) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Synthetic embeddings, unit length, `photos` of each: person 0's first. Some people look alike: a family."""
    rng = np.random.default_rng(seed)
    # The same families whoever is drawn, so that every draw is of one population.
    families = np.random.default_rng(_FAMILIES).normal(size=(_FAMILIES, _WIDTH))
    own = rng.normal(size=(people, _WIDTH))
    means = _unit(0.9 * families[rng.integers(_FAMILIES, size=people)] + own)
    # The spread of one person's photos: some are hard, most are not.
    spread = rng.lognormal(np.log(0.1), 0.25, size=(people, 1, 1))
    seen = _unit(means[:, None] + spread * rng.normal(size=(people, photos, _WIDTH)))
    names = [f"person-{number:06d}" for number in range(people) for _ in range(photos)]
    return seen.reshape(-1, _WIDTH).astype(np.float32), names


def truth(people: int = _POPULATION) -> Truth:
    vectors, names = generated(people, seed=0)
    pairs = people * (people - 1) // 2 * _PHOTOS**2
    found = trials_of(vectors, names, listed=int(20 * FAR * pairs))
    # Of mates many more, which is cheap: each size is held against the same truth.
    mates = np.sort(np.concatenate([_mates(_POPULATION, seed=-1 - draw) for draw in range(_MATES_DRAWN)]))
    return Truth(mates, np.array([pair.score for pair in reversed(found.impostors)], np.float32), pairs)


def _mates(people: int, *, seed: int) -> npt.NDArray[np.float32]:
    """Cosines of all pairs of photos of one person."""
    vectors = generated(people, seed=2**32 + seed)[0].reshape(people, _PHOTOS, _WIDTH)
    first, second = np.triu_indices(_PHOTOS, 1)
    return np.einsum("npw,npw->np", vectors[:, first], vectors[:, second]).ravel()


def _of_pairs(errors: AtThreshold) -> tuple[Interval, Interval]:
    everybody = [1] * len(errors.photos)
    pairs = (sum(errors.photos) ** 2 - sum(n * n for n in errors.photos)) // 2
    wrong = round(errors.far(everybody) * pairs)
    return wilson(sum(errors.accepted), sum(errors.pairs)), wilson(wrong, pairs)


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
