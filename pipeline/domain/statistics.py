"""How sure a share measured on few photos is: intervals, exact tests, and a bootstrap by photo cluster (ADR 0011).

Shares and confidences are 0-1. Nothing here decides anything: bounds and p-values go to the policies.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

_BISECTIONS = 60
_RESAMPLES = 2000
_SEED = 7


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Two-sided Wilson score interval of a share; [0, 1] without a trial."""
    _demand_count(successes, trials)
    if trials == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, scale = successes / trials, 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def binomial_lower_bound(successes: int, trials: int, confidence: float = 0.95) -> float:
    """Exact one-sided bound (Clopper-Pearson): the share is at least this with `confidence`."""
    _demand_count(successes, trials)
    if successes == 0:
        return 0.0
    # Rises with the share: below the bound, so many successes would be rarer than 1 - confidence.
    return _crossing(lambda share: binomial_tail(successes, trials, share), 1 - confidence)


def binomial_upper_bound(successes: int, trials: int, confidence: float = 0.95) -> float:
    """Exact one-sided bound (Clopper-Pearson): the share is at most this with `confidence`; 1 without a trial."""
    _demand_count(successes, trials)
    return 1 - binomial_lower_bound(trials - successes, trials, confidence)


def binomial_tail(successes: int, trials: int, share: float) -> float:
    """Probability of at least `successes` when each trial succeeds with probability `share`."""
    _demand_count(successes, trials)
    if successes == 0:
        return 1.0
    if share in {0.0, 1.0}:
        return share
    log_share, log_rest = math.log(share), math.log1p(-share)
    whole = math.lgamma(trials + 1)
    return min(
        1.0,
        math.fsum(
            math.exp(whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_share + (trials - k) * log_rest)
            for k in range(successes, trials + 1)
        ),
    )


def mcnemar(wins: int, losses: int) -> float:
    """Exact one-sided p-value that a model with `wins` against `losses` on discordant photos is no better; 1 for none.

    Assumes independent pairs: count photo clusters, not photos.
    """
    _demand_count(wins, wins + losses)
    trials = wins + losses
    return sum(math.comb(trials, k) for k in range(wins, trials + 1)) / 2**trials


def bootstrap_lower_bound(
    differences: Sequence[float],
    clusters: Sequence[str],
    *,
    confidence: float = 0.95,
    resamples: int = _RESAMPLES,
    seed: int = _SEED,
) -> float:
    """One-sided lower bound of the mean paired difference, resampling whole clusters; NaN for no photos.

    `differences` holds one number a photo (candidate right − champion right: −1, 0 or 1), `clusters` which photos are
    near-duplicates of each other. The same photos in another order give the same bound.
    """
    sums: dict[str, tuple[float, int]] = {}
    for difference, cluster in zip(differences, clusters, strict=True):
        total, size = sums.get(cluster, (0.0, 0))
        sums[cluster] = (total + difference, size + 1)
    return _resampled_quantile(tuple(sorted(sums.values())), 1 - confidence, resamples, seed)


@lru_cache(maxsize=4096)
def _resampled_quantile(sums: tuple[tuple[float, int], ...], quantile: float, resamples: int, seed: int) -> float:
    if not sums:
        return math.nan
    draw = random.Random(seed)
    means = []
    for _ in range(resamples):
        drawn = draw.choices(sums, k=len(sums))
        means.append(math.fsum(total for total, _ in drawn) / sum(size for _, size in drawn))
    return sorted(means)[int(quantile * resamples)]


def _crossing(rising: Callable[[float], float], level: float) -> float:
    """Where a function that rises on [0, 1] reaches `level`."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if rising(middle) < level:
            low = middle
        else:
            high = middle
    return low


def _demand_count(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no count of successes")
