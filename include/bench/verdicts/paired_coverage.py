"""How often the bound of a paired difference keeps its promise, summed over every outcome and not drawn (ADR 0011)."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import stats

from include.bench.measurement import Figures, Found, Say
from pipeline.domain.comparison import ComparisonPolicy
from pipeline.domain.statistics import paired_lower_bound

SIZES = (50, 100, 200, 300, 600, 1000)
_DISCORDANT = (0.04, 0.06, 0.08, 0.10, 0.12, 0.16, 0.20)
_DIFFERENCES = (-0.04, -0.03, -0.02, -0.01, 0.0, 0.02, 0.04)
_NEGLIGIBLE = 1e-9
_POLICY = ComparisonPolicy()
_HEAD = """# What the bound of a paired difference promises

`make bench-verification` sums the probability of every outcome for models that differ on 4 to 20 % of the photos
and are 4 points worse to 4 points better, 49 truths for each number of photos. The bound is to lie below the truth
95 % of the time. Near-duplicates count as one photo, so the photos are independent.
"""


@dataclass(frozen=True)
class Coverage:
    """Shares of the time, 0-1, that the bound lies below the truth: mean, least and most over all truths.

    `worse_passes`: how often a model that is worse by exactly the margin is called not worse, where it passes most.
    """

    pairs: int
    mean: float
    least: float
    most: float
    worse_passes: float


def paired_coverage(say: Say) -> Found:
    found = []
    for pairs in SIZES:
        found.append(coverage(pairs))
        say(f"{pairs} photos: {found[-1].mean:.1%} of 95%")
    figures: Figures = {f"coverage_{c.pairs}_photos": c.mean for c in found}
    figures |= {f"least_coverage_{c.pairs}_photos": c.least for c in found}
    figures |= {f"worse_by_the_margin_passes_{c.pairs}_photos": c.worse_passes for c in found}
    how = f"Every outcome of {len(_DISCORDANT) * len(_DIFFERENCES)} truths for each number of photos."
    return Found(figures, how, {"paired-coverage.md": _page(found).encode()})


def coverage(pairs: int) -> Coverage:
    held = {
        (discordant, difference): _held(pairs, (discordant + difference) / 2, (discordant - difference) / 2)
        for discordant in _DISCORDANT
        for difference in _DIFFERENCES
    }
    at_margin = [share for (_, difference), share in held.items() if difference == -_POLICY.margin]
    every = list(held.values())
    return Coverage(pairs, sum(every) / len(every), min(every), max(every), 1 - min(at_margin))


def _held(pairs: int, win: float, loss: float) -> float:
    """Probability that the bound is not above the truth."""
    wins, losses = (grid.ravel() for grid in np.meshgrid(_likely(pairs, win), _likely(pairs, loss)))
    possible = wins + losses <= pairs
    wins, losses = wins[possible], losses[possible]
    outcomes = np.stack([wins, losses, pairs - wins - losses], axis=1)
    chances = stats.multinomial.pmf(outcomes, pairs, [win, loss, 1 - win - loss])
    bounds = np.array([_bound(int(won), int(lost), pairs) for won, lost in zip(wins, losses, strict=True)])
    return float(chances[bounds <= win - loss + _NEGLIGIBLE].sum() / chances.sum())


def _likely(pairs: int, share: float) -> npt.NDArray[np.int64]:
    """Counts that are not all but impossible."""
    low, high = stats.binom.ppf([_NEGLIGIBLE, 1 - _NEGLIGIBLE], pairs, share)
    return np.arange(int(low), int(high) + 1)


@cache
def _bound(wins: int, losses: int, pairs: int) -> float:
    return paired_lower_bound(wins, losses, pairs, _POLICY.confidence)


def _page(found: list[Coverage]) -> str:
    margin = f"{_POLICY.margin * 100:g}"
    lines = [
        _HEAD,
        f"| photos | mean | least | most | {margin} points worse, and called not worse |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {c.pairs} | {c.mean:.1%} | {c.least:.1%} | {c.most:.1%} | {c.worse_passes:.1%} |" for c in found]
    return "\n".join(lines) + "\n"
