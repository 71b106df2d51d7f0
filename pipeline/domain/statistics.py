"""How sure a share is that was measured on few photos: intervals and exact tests (ADR 0011).

Shares and confidences are 0-1. Nothing here decides anything: bounds and p-values go to the policies.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

_BISECTIONS = 45
# Keeps logarithms and quotients finite at the ends of [0, 1].
_TINY = sys.float_info.min


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Two-sided Wilson score interval of a share; [0, 1] without a trial. Trials may be fractions, when each is worth
    less than one.
    """
    _demand_count(successes, trials)
    if trials == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, scale = successes / trials, 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def difference(first: tuple[float, float], second: tuple[float, float], confidence: float = 0.95) -> Interval:
    """Two-sided interval of how much larger the first share is; each is (successes, trials) on photos of its own
    (Newcombe 1998, method 10). Trials may be fractions, as in `wilson`.
    """
    (a, b), (one, two) = (wilson(*first, confidence), wilson(*second, confidence)), (_share(*first), _share(*second))
    low = math.hypot(one - a.low, b.high - two)
    high = math.hypot(a.high - one, two - b.low)
    return Interval(one - two - low, one - two + high)


def _share(successes: float, trials: float) -> float:
    return successes / trials


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


@lru_cache(maxsize=65536)
def paired_lower_bound(wins: int, losses: int, pairs: int, confidence: float = 0.95) -> float:
    """One-sided score bound of a paired difference of shares: it is at least this with `confidence`; NaN for no pairs.

    Of independent `pairs` the first model alone is right on `wins`, the second alone on `losses`: count photo
    clusters, not photos. Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design" (1998); what it keeps of its promise: `include/studies/paired-coverage.md`.
    """
    _demand_count(wins + losses, pairs)
    _demand_count(wins, wins + losses)
    if pairs == 0:
        return math.nan
    # The score falls as the difference in question rises.
    z = NormalDist().inv_cdf(confidence)
    return 2 * _crossing(lambda middle: -_score(wins, losses, pairs, 2 * middle - 1), -z) - 1


def _score(wins: int, losses: int, pairs: int, difference: float) -> float:
    """How many standard errors the observed difference lies above `difference`, were that the true one."""
    # The share of losses that fits the data best if wins are `difference` more frequent: root of a quadratic.
    linear = (2 * pairs - wins + losses) * difference - wins - losses
    constant = losses * difference * (1 - difference)
    lost = (math.sqrt(max(0.0, linear * linear + 8 * pairs * constant)) - linear) / (4 * pairs)
    variance = pairs * (2 * lost + difference * (1 - difference))
    # There is no variance where only the difference in question is possible.
    return (wins - losses - pairs * difference) / math.sqrt(max(variance, _TINY))


def log_times_likelier_equal(first: tuple[int, int], second: tuple[int, int], margin: float) -> float:
    """How much likelier two counts are if their shares are equal than if the first is lower by `margin` (logarithm).

    Each count is (successes, trials), the two independent. Beyond ±log(1 / error) after any number of looks is wrong
    with probability `error` at most: Wald's sequential test, each hypothesis with its most likely common share. What
    it keeps of that promise: `include/studies/canary.md`.
    """
    _demand_count(*first)
    _demand_count(*second)
    together = (first[0] + second[0]) / max(1, first[1] + second[1])
    lower = margin + (1 - margin) * _crossing(
        # The likelihood has a single peak, so minus its slope rises.
        lambda part: -_slope(*first, part * (1 - margin)) - _slope(*second, margin + part * (1 - margin)),
        0.0,
    )
    equal = _log_likelihood(*first, together) + _log_likelihood(*second, together)
    return equal - _log_likelihood(*first, lower - margin) - _log_likelihood(*second, lower)


def log_times_likelier_below(count: tuple[int, int], share: float) -> float:
    """How much likelier a count (successes, trials) is if its share is somewhere below `share`, each alike, than if it
    is `share` (logarithm).

    Where the true one is `share` or more, log(1 / error) is reached by any number of looks with probability `error` at
    most: Ville's inequality, of a test "with power one" (Robbins, "Statistical methods related to the law of the
    iterated logarithm", 1970).
    """
    successes, trials = count
    _demand_count(successes, trials)
    failures = trials - successes
    # The mean likelihood below `share` is a part of a beta integral, which is a binomial tail.
    whole = math.lgamma(successes + 1) + math.lgamma(failures + 1) - math.lgamma(trials + 2)
    part = math.log(max(binomial_tail(successes + 1, trials + 1, share), _TINY))
    return whole + part - math.log(share) - _log_likelihood(successes, trials, share)


def _slope(successes: int, trials: int, share: float) -> float:
    return successes / max(share, _TINY) - (trials - successes) / max(1 - share, _TINY)


def _log_likelihood(successes: int, trials: int, share: float) -> float:
    return successes * math.log(max(share, _TINY)) + (trials - successes) * math.log(max(1 - share, _TINY))


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


def _demand_count(successes: float, trials: float) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no count of successes")
