"""What the reasons of corrections bring to the verdict, above all on rare defects: with their head, and without."""

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from include.bench.measurement import Figures, Found, Say
from include.bench.studies.csv_rows import as_csv
from include.bench.studies.material import Head, Material, Numbers, seen
from include.demo.photos import PhotoSpec
from pipeline.domain.dataset import Augmentation
from pipeline.domain.events import DEFECTIVE
from pipeline.domain.reasons import KnownReasons, ReasonList
from pipeline.learning.reasons import ReasonHead, learn

# Of the photos to learn from, how many have each defect; None is a garment in good order.
COMING: Mapping[str | None, int] = {
    None: 300,
    "coffee": 60,
    "mud": 60,
    "ink": 60,
    "grease": 60,
    "tear": 25,
    "bleach": 25,
}
RARE = ("tear", "bleach")
HELD_OUT = 40
SEEDS = range(5)
_POOL = 1.1
_FABRICS = ("plain", "denim", "stripes", "knit", "floral", "dots", "plaid")
# What a branch manager says of each, and how often: of most defective photos nobody says why.
_WORDS = {"coffee": "커피", "mud": "진흙", "ink": "잉크", "grease": "기름", "tear": "찢어짐", "bleach": "탈색"}
_SAID_SHARE, _SAID_OF_RARE = 0.4, 0.9
_REASONS = ReasonList()
_HIDDEN, _EPOCHS, _BATCH, _WEIGHT = 64, 40, 64, 0.5
_WAYS = (
    "the verdict alone",
    "reasons beside it (as it is)",
    "reasons decide, too",
    "hidden layer of its own",
    "hidden layer shared with reasons",
)
Floats = npt.NDArray[np.float32]
Rows = Sequence[Mapping[str, Any]]
_PAGE = """# What do reasons bring?

`python -m include.bench run reasons`: {photos} drawn photos to learn from, of which {good} are in good order and {rare}
have a rare defect ({which}); {held} of each kind that nobody learns from judge. People said why of {said:.0%} of the
common defects, and of {said_of_rare:.0%} of the rare ones, which earlier models miss. Features of the frozen
EfficientNet-Lite0, {seeds} seeds; mean ± standard deviation.

| what is learned | good | common defects | rare defects | as they come |
|---|---|---|---|---|
{rows}

*Reasons beside it* is what training does: a head of its own for the reasons, which cannot change a verdict. Of a
defective garment the likeliest of the {reasons} reasons is the right one in {named} of cases. *Reasons decide, too*: a
garment is also defective when one of them is likelier than not. The last two have a hidden layer of {hidden}, which
learns the verdict alone, or the reasons beside it; where nobody said why, nothing is learned of them.

{conclusion}
"""


@dataclass(frozen=True)
class Work:
    """Photos by their numbers: `learned` with what is known of their reasons, `held` only judge."""

    material: Material
    specs: Sequence[PhotoSpec]
    learned: Numbers
    held: Numbers
    known: KnownReasons

    @classmethod
    def divided(cls, material: Material, specs: Sequence[PhotoSpec], seed: int) -> "Work":
        rng, learned, held = np.random.default_rng(seed), list[int](), list[int]()
        for defect, count in COMING.items():
            numbers = rng.permutation([n for n, spec in enumerate(specs) if spec.defect == defect])
            held, learned = [*held, *numbers[:HELD_OUT]], [*learned, *numbers[HELD_OUT:][:count]]
        photos = [_said(material, specs, number, rng) for number in learned]
        return cls(material, specs, np.array(learned), np.array(held), _REASONS.known(photos))

    @property
    def tasks(self) -> list[str]:
        return [self.material.photos[number].task_id for number in self.learned]

    def figures(self, says_defective: npt.NDArray[np.bool_]) -> dict[str, float]:
        """Shares of the held-out photos judged right, 0-1; `natural` as often as each kind comes."""
        of = {
            kind: np.array([self.specs[number].defect in kinds for number in self.held])
            for kind, kinds in {"good": (None,), "rare": RARE, "common": set(_WORDS) - set(RARE)}.items()
        }
        right = says_defective == (self.material.labels[self.held] == 1)
        found = {kind: float(right[rows].mean()) for kind, rows in of.items()}
        shares = {"good": COMING[None], "rare": sum(COMING[kind] for kind in RARE)}
        shares["common"] = sum(COMING.values()) - sum(shares.values())
        natural = sum(found[kind] * share for kind, share in shares.items()) / sum(COMING.values())
        return {**found, "natural": natural}


def reasons(say: Say, seeds: Sequence[int] = SEEDS) -> Found:
    specs = _specs()
    material, rows = seen(specs, Augmentation(copies=1), say), []
    for seed in seeds:
        rows += list(run(Work.divided(material, specs, seed), seed))
        say(f"seed {seed}: {len(_WAYS)} ways")
    figures: Figures = {
        f"{kind}_percent_{_as_name(way)}": _mean(rows, way, kind) for way in _WAYS for kind in ("rare", "natural")
    }
    figures |= {"reason_named_first_percent": _mean(rows, _WAYS[1], "named_first")}
    how = f"{sum(COMING.values())} drawn photos learned, {HELD_OUT} of each kind judged, means of {len(seeds)} seeds."
    return Found(figures, how, {"reasons.md": _page(rows, len(seeds)).encode(), "reasons.csv": as_csv(rows)})


def run(work: Work, seed: int) -> Iterator[dict[str, Any]]:
    """A row for each way."""
    images, labels = work.material.augmented(work.learned)
    seen_of_held = work.material.images[work.held, 0]
    alone = Head().fit(images, labels).predict(seen_of_held) == 1
    copies = work.material.images.shape[1]
    head = learn(images, [task for task in work.tasks for _ in range(copies)], work.known)
    likely = _probabilities(head, seen_of_held)
    verdicts = {
        _WAYS[0]: alone,
        _WAYS[1]: alone,
        _WAYS[2]: alone | (likely.max(1, initial=0.0) > 0.5),
        _WAYS[3]: _hidden(work, seed, weight=0.0),
        _WAYS[4]: _hidden(work, seed, weight=_WEIGHT),
    }
    for way, verdict in verdicts.items():
        row = {"seed": seed, "way": way, **{name: round(v, 4) for name, v in work.figures(verdict).items()}}
        yield row | {"named_first": round(_named_first(work, head, likely), 4)}


def _specs() -> list[PhotoSpec]:
    """More than are learned, so that seeds differ in what they learn."""
    rng, specs = np.random.default_rng(12), list[PhotoSpec]()
    for number, (defect, count) in enumerate(COMING.items()):
        for one in range(round(count * _POOL) + HELD_OUT):
            specs.append(PhotoSpec(str(rng.choice(_FABRICS)), defect, 120_000_000 + number * 10_000 + one))
    return specs


def _said(material: Material, specs: Sequence[PhotoSpec], number: int, rng: np.random.Generator) -> Any:
    """The row as a dataset has it: what the model of before missed was corrected, with a reason."""
    defect = specs[number].defect
    if defect is None or rng.random() >= (_SAID_OF_RARE if defect in RARE else _SAID_SHARE):
        return material.photos[number]
    why = _REASONS.of(_WORDS[defect])
    return replace(material.photos[number], label=DEFECTIVE, corrected=True, reasons=why)


def _probabilities(head: ReasonHead | None, images: Floats) -> Floats:
    """Of each reason of a defect, [photos, reasons]; a pattern that was taken for one is none."""
    if head is None:
        return np.zeros((len(images), 0), np.float32)
    return np.asarray(1 / (1 + np.exp(-(images @ head.weights + head.bias))), np.float32)


def _named_first(work: Work, head: ReasonHead | None, likely: Floats) -> float:
    """Of held-out defects, how often the likeliest reason is the right one, 0-1."""
    if head is None:
        return 0.0
    defects = [(at, work.specs[n].defect) for at, n in enumerate(work.held) if work.specs[n].defect]
    first = [head.names[likely[at].argmax()] for at, _ in defects]
    return statistics.mean(name in _REASONS.of(_WORDS[str(d)]) for name, (_, d) in zip(first, defects, strict=True))


def _hidden(work: Work, seed: int, *, weight: float) -> npt.NDArray[np.bool_]:
    """Verdicts of a network with a hidden layer that learns `weight` of the reasons beside the verdict."""
    import keras
    from sklearn.preprocessing import StandardScaler

    keras.utils.set_random_seed(seed)
    images, labels = work.material.augmented(work.learned)
    scaler, copies = StandardScaler().fit(images), work.material.images.shape[1]
    inputs = keras.Input((images.shape[1],))
    hidden = keras.layers.Dropout(0.3)(keras.layers.Dense(_HIDDEN, "relu")(inputs))
    heads = [keras.layers.Dense(n, "sigmoid", name=name)(hidden) for name, n in (("verdict", 1), ("why", _reasons()))]
    network = keras.Model(inputs, heads)
    network.compile("adam", loss=["binary_crossentropy"] * 2, loss_weights=[1.0, weight])
    targets, said = _targets(work, copies)
    balanced = np.where(labels == 1, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    learned = scaler.transform(images)
    weights = [balanced.astype(np.float32), said]
    network.fit(
        learned, [labels[:, None], targets], sample_weight=weights, epochs=_EPOCHS, batch_size=_BATCH, verbose=0
    )
    answers = network.predict(scaler.transform(work.material.images[work.held, 0]), verbose=0)[0]
    return np.asarray(answers[:, 0] > 0.5)


def _targets(work: Work, copies: int) -> tuple[Floats, Floats]:
    """Reasons of each image as ones and zeros, and 1 where people said any, 0 where nobody did."""
    rows = [work.known.of.get(task) for task in work.tasks]
    ones = np.array([[float(name in (row or ())) for name in _REASONS.names] for row in rows], np.float32)
    said = np.array([float(row is not None) for row in rows], np.float32)
    return ones.repeat(copies, axis=0), said.repeat(copies)


def _reasons() -> int:
    return len(_REASONS.names)


def _as_name(way: str) -> str:
    return "_".join(re.findall(r"[a-z]+", way))


def _mean(rows: Rows, way: str, kind: str) -> float:
    return statistics.mean(row[kind] for row in rows if row["way"] == way) * 100


def _spread(rows: Rows, way: str, kind: str) -> str:
    found = [row[kind] * 100 for row in rows if row["way"] == way]
    return f"{statistics.mean(found):.1f} ± {statistics.stdev(found) if len(found) > 1 else 0:.1f} %"


def _page(rows: Rows, seeds: int) -> str:
    lines = "\n".join(
        f"| {way} | {' | '.join(_spread(rows, way, kind) for kind in ('good', 'common', 'rare', 'natural'))} |"
        for way in _WAYS
    )
    told = {
        "photos": sum(COMING.values()),
        "good": COMING[None],
        "rare": sum(COMING[kind] for kind in RARE),
        "which": " or ".join(RARE),
        "held": HELD_OUT,
        "said": _SAID_SHARE,
        "said_of_rare": _SAID_OF_RARE,
        "seeds": seeds,
        "rows": lines,
        "named": _spread(rows, _WAYS[1], "named_first"),
        "reasons": _reasons(),
        "hidden": _HIDDEN,
        "conclusion": _conclusion(rows),
    }
    return _PAGE.format(**told)


def _conclusion(rows: Rows) -> str:
    gains = {way: _mean(rows, way, "rare") - _mean(rows, _WAYS[0], "rare") for way in _WAYS[2:]}
    costs = {way: _mean(rows, way, "natural") - _mean(rows, _WAYS[0], "natural") for way in _WAYS[2:]}
    shared = _mean(rows, _WAYS[4], "rare") - _mean(rows, _WAYS[3], "rare")
    said = [
        f"*{way}* {gain:+.1f} points on rare defects, {costs[way]:+.1f} as they come" for way, gain in gains.items()
    ]
    return (
        f"Beside the verdict alone: {'; '.join(said)}. Of the last, learning the reasons accounts for {shared:+.1f} "
        "points on rare defects; the rest is the hidden layer's. One photo with a rare defect is "
        f"{100 / (HELD_OUT * len(RARE)):.1f} points of one seed, so smaller differences say nothing."
    )
