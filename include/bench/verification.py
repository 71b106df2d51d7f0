"""`make bench-verification`: how often a candidate of known quality is promoted, held or refused (ADR 0011).

Every round draws photos, lets a champion and a candidate of known accuracy judge them, and asks the same domain code
that judges real models. Writes the table and the plot under `include/studies/`.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from include.stack.layout import REPOSITORY
from pipeline.domain.blessing import Verdict, WhenInconclusive, conclude
from pipeline.domain.checks import AccuracyMeasurement, Check, Outcome, PerformanceMeasurement, Prediction, Weight
from pipeline.domain.comparison import ComparisonPolicy
from pipeline.domain.dataset import Photo, Source, Split
from pipeline.domain.verification import VerificationPolicy

_STUDIES = REPOSITORY / "include" / "studies"
_RESULTS = REPOSITORY / ".bench" / "verification.json"
_LABELS = ("양호", "불량")
_CHAMPION, _DISCORDANT = 0.93, 0.08
_SIZES = (150, 300, 600)
_CANDIDATES = {"3 pp worse": -0.03, "2 pp worse": -0.02, "equally good": 0.0, "2 pp better": 0.02, "4 pp better": 0.04}
_FAST = PerformanceMeasurement(20.0, 40.0, 120.0, 500_000_000, None, 1000)
_LITERAL = (
    "validation_accuracy",
    "better_than_champion",
    "holdout_accuracy",
    *(f"class_accuracy.{x}" for x in _LABELS),
)
POLICY = VerificationPolicy()
# What the verdict would be if a holdout had to be large enough to call most equally good models not worse.
STRICT = replace(POLICY, comparison=ComparisonPolicy(min_holdout_photos=550))


@dataclass
class Rates:
    """Shares of rounds, 0-1: the specification's rule promotes; our evidence promotes, rejects, or leaves it open."""

    photos: int
    candidate: str
    rounds: int
    specification_promotes: float
    floors_promote: float
    evidence_promotes: float
    evidence_inconclusive: float
    evidence_rejects: float
    strict_promotes: float
    corrections_promote: float


def simulate(photos: int, name: str, rounds: int, seed: int) -> Rates:
    """`photos` for validation and as many for the holdout, each a garment of its own."""
    draw, counts = np.random.default_rng([seed, photos, round(1000 * (1 + _CANDIDATES[name]))]), Counter[str]()
    for _ in range(rounds):
        measured, facts = _round(draw, photos, _CANDIDATES[name])
        checks = (*POLICY.judge_accuracy(measured, _LABELS, facts), *POLICY.judge_performance(_FAST))
        counts["specification"] += _literally(checks)
        counts["floors"] += conclude(checks, _LABELS, when_inconclusive=WhenInconclusive.FLOORS).accepted
        counts[_verdict(checks)] += 1
        strict = (*STRICT.judge_accuracy(measured, _LABELS, facts), *STRICT.judge_performance(_FAST))
        counts["strict"] += _verdict(strict) is Verdict.PROMOTE
        counts["corrections"] += _verdict(_with_corrections_as_proof(checks)) is Verdict.PROMOTE
    shares = {key: round(count / rounds, 4) for key, count in counts.items()}
    return Rates(
        photos,
        name,
        rounds,
        specification_promotes=shares.get("specification", 0.0),
        floors_promote=shares.get("floors", 0.0),
        evidence_promotes=shares.get(Verdict.PROMOTE, 0.0),
        evidence_inconclusive=shares.get(Verdict.INCONCLUSIVE, 0.0),
        evidence_rejects=shares.get(Verdict.REJECT, 0.0),
        strict_promotes=shares.get("strict", 0.0),
        corrections_promote=shares.get("corrections", 0.0),
    )


def _round(draw: np.random.Generator, photos: int, gain: float) -> tuple[AccuracyMeasurement, dict[str, Photo]]:
    """Both models right, only one, or neither: `_DISCORDANT` of the photos tell them apart."""
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
    found = conclude(checks, _LABELS, when_inconclusive=WhenInconclusive.APPROVAL)
    if found.held:
        return Verdict.INCONCLUSIVE
    return Verdict.PROMOTE if found.accepted else Verdict.REJECT


def _with_corrections_as_proof(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """As if fixing corrections alone proved a gain, which it does not: an equally good model does that too."""
    either = {"gain_beyond_chance", "corrections_fixed"}
    if all(c.outcome is Outcome.FAILED for c in checks if c.name in either):
        return checks
    return tuple(replace(c, outcome=Outcome.PASSED) if c.name in either else c for c in checks)


def _literally(checks: tuple[Check, ...]) -> bool:
    """The specification's accuracy conditions as it states them: point estimates against bars."""
    return all(c.outcome is Outcome.PASSED for c in checks if c.weight is Weight.FLOOR and c.name in _LITERAL)


def _answers(right: npt.NDArray[np.bool_]) -> tuple[Prediction, ...]:
    return tuple(_prediction(i, bool(one)) for i, one in enumerate(right))


@cache
def _prediction(number: int, right: bool) -> Prediction:
    label = _LABELS[number % 2]
    return Prediction(_task(number), label, label if right else _LABELS[1 - number % 2])


@cache
def _photo(number: int, corrected: bool, validation: bool) -> Photo:
    return Photo(
        task_id=_task(number),
        photo_url="",
        sha256="",
        phash="",
        cluster_id=f"{number}",
        label=_LABELS[number % 2],
        corrected=corrected,
        source=Source.EVALUATION,
        split=Split.VALIDATION if validation else Split.HOLDOUT,
        confirmed_at="2026-05-04T12:00:00+00:00",
        width=640,
        height=480,
        brightness=0.5,
    )


@cache
def _task(number: int) -> str:
    return f"TASK-{number:05d}"


def _table(found: list[Rates]) -> str:
    columns = (
        "photos",
        "candidate",
        "specification promotes",
        "ours, `floors`: promoted",
        "ours, `approval`: promoted",
        "held for a person",
        "refused",
        "promoted if 550 holdout photos were demanded",
        "promoted if fixing corrections were proof",
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for r in found:
        figures = (
            r.specification_promotes,
            r.floors_promote,
            r.evidence_promotes,
            r.evidence_inconclusive,
            r.evidence_rejects,
            r.strict_promotes,
            r.corrections_promote,
        )
        lines.append(f"| {r.photos} | {r.candidate} | {' | '.join(f'{f:.1%}' for f in figures)} |")
    return "\n".join(lines)


def _plot(found: list[Rates], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    # The same figures give the same file.
    mpl.rcParams["svg.hashsalt"] = "verification"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(_SIZES), figsize=(12, 4.2), sharey=True)
    for axis, size in zip(axes, _SIZES, strict=True):
        rows = [r for r in found if r.photos == size]
        at = np.arange(len(rows))
        promoted, held = (np.array([getattr(r, f"evidence_{x}") for r in rows]) for x in ("promotes", "inconclusive"))
        spec = [r.specification_promotes for r in rows]
        axis.bar(at - 0.2, spec, 0.36, color="#adb5bd", label="specification: promoted")
        axis.bar(at + 0.2, promoted, 0.36, color="#2b8a3e", label="ours: promoted, proven better")
        axis.bar(at + 0.2, held, 0.36, bottom=promoted, color="#ffd43b", label="ours: held (floors or a person)")
        axis.set_title(f"{size} validation and {size} holdout photos", fontsize=10)
        axis.set_xticks(at, [r.candidate.replace(" ", "\n", 2) for r in rows], fontsize=8)
        axis.set_ylim(0, 1)
    axes[0].set_ylabel("share of rounds")
    axes[0].legend(fontsize=7, loc="upper left", frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def _rows(rounds: int, seed: int) -> Iterator[Rates]:
    for photos in _SIZES:
        for name in _CANDIDATES:
            rates = simulate(photos, name, rounds, seed)
            click.echo(
                f"{photos} photos, {name}: specification promotes {rates.specification_promotes:.1%}, ours promotes "
                f"{rates.evidence_promotes:.1%}, holds {rates.evidence_inconclusive:.1%}"
            )
            yield rates


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=_STUDIES, help="Folder of table and plot.")
def main(rounds: int, seed: int, out: Path) -> None:
    """Operating characteristics of the verdict, by simulation."""
    found = list(_rows(rounds, seed))
    out.mkdir(parents=True, exist_ok=True)
    (out / "verification-table.md").write_text(_table(found) + "\n")
    _plot(found, out / "verification.svg")
    _RESULTS.parent.mkdir(exist_ok=True)
    body = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "rates": [vars(r) for r in found]}
    _RESULTS.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n")
    click.echo(f"written: {out}/verification-table.md, {out}/verification.svg")


if __name__ == "__main__":
    main()
