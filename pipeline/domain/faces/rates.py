"""How often the right person is accepted, how often a wrong one is, and how sure both figures are (ADR 0017).

TAR is the share of pairs of photos of one person that reach the threshold (1 - FNMR), FAR that of pairs of two people
(FMR). Pairs of few people are many and say little: of n people there are n² pairs and n pieces of evidence. So what is
drawn again and again is people, never pairs. Scores are cosines, -1 to 1; rates and confidences are 0-1.
"""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from pipeline.domain.statistics import Interval

DRAWS = 400
# Share of all pairs of two people from which the fall of scores at the upper end is estimated; with few pairs, at least
# this many of them.
_TAIL, _FEWEST_OF_TAIL = 1e-3, 50
Weights = Sequence[int]


@dataclass(frozen=True)
class Impostor:
    """The score of a pair of photos of two people; `first` and `second` are their numbers."""

    score: float
    first: int
    second: int


@dataclass(frozen=True)
class Trials:
    """What a model was asked about some people, who are numbered.

    `photos` counts each one's; `mates` holds the scores of all pairs of photos of one person, by person. `impostors`
    are the highest scores of pairs of two people, highest first: those below say nothing at the thresholds in question.
    """

    photos: tuple[int, ...]
    mates: tuple[tuple[float, ...], ...]
    impostors: tuple[Impostor, ...]

    @property
    def identities(self) -> int:
        return len(self.photos)

    def impostor_pairs(self, weights: Weights) -> int:
        """Number of pairs of photos of two people, each person counted as often as they were drawn."""
        drawn = [w * n for w, n in zip(weights, self.photos, strict=True)]
        return (sum(drawn) ** 2 - sum(d * d for d in drawn)) // 2

    @property
    def lowest_impostor(self) -> float:
        """The lowest listed score of two people; below it nothing is known. -1 when all are listed."""
        everybody = self.impostor_pairs([1] * self.identities)
        return -1.0 if len(self.impostors) >= everybody else self.impostors[-1].score if self.impostors else math.inf


@dataclass(frozen=True)
class AtThreshold:
    """A model's decisions, counted: of each person's `pairs` `accepted`, and false accepts by pair of people, which are
    only some of them where there are `more`.
    """

    photos: tuple[int, ...]
    accepted: tuple[int, ...]
    pairs: tuple[int, ...]
    false_accepts: Mapping[tuple[int, int], int]
    more: bool = False

    def tar(self, weights: Weights) -> float:
        """NaN when nobody drawn has two photos."""
        pairs = sum(w * n for w, n in zip(weights, self.pairs, strict=True))
        accepted = sum(w * n for w, n in zip(weights, self.accepted, strict=True))
        return accepted / pairs if pairs else math.nan

    def far(self, weights: Weights) -> float:
        """At least this where there are `more`."""
        drawn = [w * n for w, n in zip(weights, self.photos, strict=True)]
        pairs = (sum(drawn) ** 2 - sum(d * d for d in drawn)) / 2
        wrong = sum(count * weights[a] * weights[b] for (a, b), count in self.false_accepts.items())
        return wrong / pairs if pairs else math.nan


def decided(trials: Trials, threshold: float) -> AtThreshold:
    """Below the lowest listed impostor there are `more`: it is known that there are far too many, and not how many."""
    wrong: dict[tuple[int, int], int] = {}
    for pair in trials.impostors:
        if pair.score < threshold:
            break
        key = (pair.first, pair.second)
        wrong[key] = wrong.get(key, 0) + 1
    return AtThreshold(
        photos=trials.photos,
        accepted=tuple(sum(score >= threshold for score in scores) for scores in trials.mates),
        pairs=tuple(len(scores) for scores in trials.mates),
        false_accepts=wrong,
        more=trials.lowest_impostor > -1.0 and threshold <= trials.lowest_impostor,
    )


def threshold_for(trials: Trials, far: float, *, confidence: float = 0.95, seed: int = 0) -> float:
    """The lowest threshold whose FAR is at most `far` with `confidence`, in the people from which these were drawn.

    For each draw of people it is where their FAR falls to `far`; of these thresholds nearly the highest is taken. NaN
    when too few scores were listed to say. With few people the best single threshold is a lucky one: that of 100 people
    for 1e-3 really reaches 0.4 to 2.3e-3.
    """
    found = [_threshold(trials, weights, far) for weights in _draws(trials.identities, DRAWS, seed)]
    found.append(_threshold(trials, [1] * trials.identities, far))
    return _quantile(found, confidence)


def thresholds_among(
    trials: Trials, people: Sequence[int], fpir: float, *, confidence: float = 0.95, seed: int = 0
) -> Sequence[float]:
    """Where a stranger is sought among so many people, the threshold from which on at most `fpir` of them are named.

    Who is compared with N people may be as often named as N pairs of two people are accepted: FAR has to be `fpir` / N.
    So rare a pair was never seen. Beyond the highest scores they are taken to fall off exponentially, which scores of
    faces, bounded by 1, do faster: the threshold errs to the strict side. Nearly the highest of all draws of people is
    taken, as in `threshold_for`; NaN where too few scores were listed to say.
    """
    pairs = trials.impostor_pairs([1] * trials.identities)
    share = min(1.0, max(_TAIL, _FEWEST_OF_TAIL / max(1, pairs)))
    draws = (*_draws(trials.identities, DRAWS, seed), [1] * trials.identities)
    tails = [_tail(trials, weights, share) for weights in draws]
    return [_quantile([tail.threshold(fpir / max(1, n)) for tail in tails], confidence) for n in people]


def tar_interval(errors: AtThreshold, *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Two-sided, by drawing people again."""
    return _interval([errors.tar(w) for w in _draws(len(errors.photos), DRAWS, seed)], confidence)


def far_interval(errors: AtThreshold, *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Two-sided, by drawing people again. Where nobody was accepted falsely, every draw says 0: then the upper bound is
    what pairs of people, each taken as one piece of evidence, leave open. Where there are more, nothing is known above.
    """
    if errors.more:
        return Interval(errors.far([1] * len(errors.photos)), 1.0)
    if not errors.false_accepts:
        pairs = max(1, math.comb(len(errors.photos), 2))
        return Interval(0.0, 1 - (1 - confidence) ** (1 / pairs))
    return _interval([errors.far(w) for w in _draws(len(errors.photos), DRAWS, seed)], confidence)


def tar_gained(ours: AtThreshold, theirs: AtThreshold, *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Two-sided interval of the TAR gained, both models on the same people in each draw.

    Raises `ValueError` when they were not asked about the same people and photos.
    """
    if ours.photos != theirs.photos or ours.pairs != theirs.pairs:
        raise ValueError("the two models were not asked about the same people")
    draws = _draws(len(ours.photos), DRAWS, seed)
    return _interval([ours.tar(w) - theirs.tar(w) for w in draws], confidence)


def _threshold(trials: Trials, weights: Weights, far: float) -> float:
    """Just above the first score that would be one false accept too many; NaN when that is not among those listed."""
    allowed = far * trials.impostor_pairs(weights)
    drawn = accumulate(weights[pair.first] * weights[pair.second] for pair in trials.impostors)
    for pair, so_far in zip(trials.impostors, drawn, strict=True):
        if so_far > allowed:
            return math.nextafter(pair.score, math.inf)
    return -1.0 if trials.lowest_impostor == -1.0 else math.nan


@dataclass(frozen=True)
class _Tail:
    """Of pairs of two people this `share` scores above `begins`, and on average by `excess`."""

    share: float
    begins: float
    excess: float

    def threshold(self, far: float) -> float:
        return self.begins + self.excess * math.log(max(1.0, self.share / far))


def _tail(trials: Trials, weights: Weights, share: float) -> _Tail:
    allowed = share * trials.impostor_pairs(weights)
    so_far, total = 0, 0.0
    for pair in trials.impostors:
        drawn = weights[pair.first] * weights[pair.second]
        if so_far + drawn > allowed:
            return _Tail(share, pair.score, total / so_far - pair.score if so_far else math.nan)
        so_far, total = so_far + drawn, total + drawn * pair.score
    return _Tail(share, math.nan, math.nan)


@lru_cache(maxsize=4)
def _draws(identities: int, count: int, seed: int) -> tuple[Weights, ...]:
    """How often each person is drawn, in draws of as many people with replacement; the same seed gives the
    same draws.
    """
    generator = random.Random(seed)  # noqa: S311 - draws for statistics, nothing secret
    draws = []
    for _ in range(count):
        weights = [0] * identities
        for drawn in generator.choices(range(identities), k=identities):
            weights[drawn] += 1
        draws.append(weights)
    return tuple(draws)


def _interval(values: Iterable[float], confidence: float) -> Interval:
    found = list(values)
    return Interval(_quantile(found, (1 - confidence) / 2), _quantile(found, (1 + confidence) / 2))


def _quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not exceed; NaN if any of them is NaN."""
    if not values or any(math.isnan(value) for value in values):
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1 if share > 0 else 0)]
