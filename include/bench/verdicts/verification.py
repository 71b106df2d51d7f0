"""How often a candidate of known quality is promoted, held or refused (ADR 0011).

Every round draws photos, lets a champion and a candidate of known accuracy judge them, and asks the same domain code
that judges real models.
"""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from include.bench.measurement import Figures, Found, Say
from include.bench.photos import LABELS, a_photo
from include.bench.verdicts.rates import Rates
from include.bench.verdicts.verification_pages import plot, table
from pipeline.domain.blessing import Verdict, WhenInconclusive, conclude
from pipeline.domain.checks import AccuracyMeasurement, Check, Outcome, PerformanceMeasurement, Prediction, Weight
from pipeline.domain.comparison import ComparisonPolicy
from pipeline.domain.dataset import Photo, Split
from pipeline.domain.verification import VerificationPolicy

_ROUNDS, _SEED = 1000, 1
_CHAMPION, _DISCORDANT = 0.93, 0.08
_SIZES = (150, 300, 600)
_CANDIDATES = {"3 pp worse": -0.03, "2 pp worse": -0.02, "equally good": 0.0, "2 pp better": 0.02, "4 pp better": 0.04}
_FAST = PerformanceMeasurement(20.0, 40.0, 120.0, 500_000_000, None, 1000)
_LITERAL = (
    "validation_accuracy",
    "better_than_champion",
    "holdout_accuracy",
    *(f"class_accuracy.{x}" for x in LABELS),
)
POLICY = VerificationPolicy()
# Demands a holdout so large that most equally good models are recognised as not worse.
STRICT = replace(POLICY, comparison=ComparisonPolicy(min_holdout_photos=550))


def verification(say: Say) -> Found:
    """All sizes and candidates; the table and the plot."""
    found = []
    for photos in _SIZES:
        found += [simulate(photos, candidate, _ROUNDS, _SEED) for candidate in _CANDIDATES]
        say(f"{photos} photos: {_ROUNDS} rounds of each candidate")
    figures: Figures = {}
    for r in found:
        name = f"{r.photos}_photos_{r.candidate.replace(' ', '_')}"
        figures[f"specification_promotes_{name}"] = r.specification_promotes
        figures[f"promoted_{name}"] = r.evidence_promotes
        figures[f"held_{name}"] = r.evidence_inconclusive
    how = f"{_ROUNDS} rounds each, champion right on {_CHAMPION:.0%}, {_DISCORDANT:.0%} of photos told differently."
    return Found(figures, how, {"verification-table.md": table(found).encode(), "verification.svg": plot(found)})


def simulate(photos: int, candidate: str, rounds: int, seed: int) -> Rates:
    """`photos` for validation and as many for the holdout, each a garment of its own."""
    gain = _CANDIDATES[candidate]
    draw, counts = np.random.default_rng([seed, photos, round(1000 * (1 + gain))]), Counter[str]()
    for _ in range(rounds):
        counts.update(_opinions(*_round(draw, photos, gain)))
    return Rates(photos, candidate, *(counts[opinion] / rounds for opinion in _OPINIONS))


# In the order of the fields of `Rates`.
_OPINIONS = (
    "specification",
    "floors",
    Verdict.PROMOTE,
    Verdict.INCONCLUSIVE,
    Verdict.REJECT,
    "strict",
    "corrections",
)


def _opinions(measured: AccuracyMeasurement, facts: dict[str, Photo]) -> list[str]:
    """Names of our verdict and of every other rule that promotes."""
    checks = _checks(POLICY, measured, facts)
    others = {
        "specification": _literally(checks),
        "floors": conclude(checks, LABELS, when_inconclusive=WhenInconclusive.FLOORS).accepted,
        "strict": _verdict(_checks(STRICT, measured, facts)) is Verdict.PROMOTE,
        "corrections": _verdict(_with_corrections_as_proof(checks)) is Verdict.PROMOTE,
    }
    return [_verdict(checks), *(name for name, promotes in others.items() if promotes)]


def _checks(policy: VerificationPolicy, measured: AccuracyMeasurement, facts: dict[str, Photo]) -> tuple[Check, ...]:
    return (*policy.judge_accuracy(measured, LABELS, facts), *policy.judge_performance(_FAST))


def _round(draw: np.random.Generator, photos: int, gain: float) -> tuple[AccuracyMeasurement, dict[str, Photo]]:
    """What both models answer to each photo; they differ on the share `_DISCORDANT` of them."""
    wins, losses = (_DISCORDANT + gain) / 2, (_DISCORDANT - gain) / 2
    shares = [wins, losses, _CHAMPION - losses, 1 - _CHAMPION - wins]
    kinds = draw.choice(4, size=2 * photos, p=shares)
    ours, theirs = (kinds == 0) | (kinds == 2), (kinds == 1) | (kinds == 2)
    candidate, champion = _answers(ours), _answers(theirs)
    measured = AccuracyMeasurement(
        "v1.0.0",
        candidate[:photos],
        candidate[photos:],
        champion[:photos],
        champion[photos:],
        trainer={p.task_id: p.predicted for p in candidate[:photos]},
    )
    # What the champion got wrong is what people corrected.
    facts = {_task(i): _photo(i, bool(not right), i < photos) for i, right in enumerate(theirs)}
    return measured, facts


def _verdict(checks: tuple[Check, ...]) -> Verdict:
    found = conclude(checks, LABELS, when_inconclusive=WhenInconclusive.APPROVAL)
    if found.held:
        return Verdict.INCONCLUSIVE
    return Verdict.PROMOTE if found.accepted else Verdict.REJECT


def _with_corrections_as_proof(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """The checks, if fixing corrections alone proved a gain. It does not: an equally good model fixes them too."""
    either = {"gain_beyond_chance", "corrections_fixed"}
    if all(c.outcome is Outcome.FAILED for c in checks if c.name in either):
        return checks
    return tuple(replace(c, outcome=Outcome.PASSED) if c.name in either else c for c in checks)


def _literally(checks: tuple[Check, ...]) -> bool:
    """Whether the specification's accuracy conditions hold as it states them: point estimates against bars."""
    return all(c.outcome is Outcome.PASSED for c in checks if c.weight is Weight.FLOOR and c.name in _LITERAL)


def _answers(right: npt.NDArray[np.bool_]) -> tuple[Prediction, ...]:
    return tuple(_prediction(i, bool(one)) for i, one in enumerate(right))


@cache
def _prediction(number: int, right: bool) -> Prediction:
    label = LABELS[number % 2]
    return Prediction(_task(number), label, label if right else LABELS[1 - number % 2])


@cache
def _photo(number: int, corrected: bool, validation: bool) -> Photo:
    split = Split.VALIDATION if validation else Split.HOLDOUT
    return a_photo(number, LABELS[number % 2], corrected=corrected, split=split)


@cache
def _task(number: int) -> str:
    return a_photo(number, LABELS[0]).task_id
