"""Both studies as one page of tables, means and standard deviations over seeds."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from include.bench.studies.leak import HELD_OUT as LEAK_HELD_OUT
from include.bench.studies.leak import PHOTOS
from include.bench.studies.material import Material
from include.bench.studies.replay import ARCHIVE_HELD_OUT, HELD_OUT, PHOTOS_A_ROUND, POLICY

Rows = Sequence[Mapping[str, Any]]


def ways(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["way"] for row in rows))


def over_seeds(rows: Rows, metric: str, **wanted: Any) -> tuple[float, float]:
    """Mean and standard deviation of one metric over the rows that match."""
    values = [row[metric] for row in rows if all(row[name] == value for name, value in wanted.items())]
    return statistics.mean(values), statistics.stdev(values)


def page(replayed: Rows, leaked: Rows, material: Material, seeds: int) -> str:
    return f"""# Two studies: why replay, why split first

Drawn photos of the demo ({len(material.photos)} of them, ×{material.images.shape[1]} images), features of the frozen
EfficientNet-Lite0, one dense softmax layer on top. {seeds} seeds; mean ± standard deviation.
Made by `make studies`; every row is in `replay.csv` and `leak.csv`.

## Corrections alone, or with replay (ADR 0002)

A first model knows an archive without tears, grease and some fabrics. Then {PHOTOS_A_ROUND} photos come in per round,
each way's current model judges them, people correct what is wrong, and the next model is trained: on this round's
corrections only (the specification), on the corrections of all rounds, or by our policy (`SelectionPolicy`: new
corrections, up to {POLICY.earlier_limit} earlier ones, {POLICY.replay_per_correction:g} unchanged verdicts for each
and as many as make {POLICY.min_train_photos} photos, class-balanced).
Accuracy on {HELD_OUT} live photos that nobody trained on, and on {ARCHIVE_HELD_OUT} of the archive's kind,
which the first model knew:

{_replay(replayed)}

![Accuracy over rounds of retraining](replay.png)

Every corrected photo is one the model got wrong. Trained on those alone, it unlearns what it got right: people then
correct twice as many verdicts in the next round. Those corrections bring the second way back, after two bad models had
served.

## Augment and then split, or split and then augment (ADR 0001)

{PHOTOS} photos, five images each, 80 % for training, as in the specification.
The same {LEAK_HELD_OUT} untouched photos tell the truth about every model:

{_leak(leaked)}

![Validation accuracy beside the truth](leak.png)

Split after augmenting, near-copies of the training images stand in validation, and its accuracy says how well the model
remembers, not how well it sees: random labels, from which nothing can be learned, validate far above one half.
"""


def _replay(rows: Rows) -> str:
    head = "| way | round | corrections | live photos | archive's kind |\n|---|---|---|---|---|\n"
    body = []
    for way in ways(rows):
        for number in sorted({row["round"] for row in rows}):
            corrections = over_seeds(rows, "corrections", way=way, round=number)[0]
            figures = [
                over_seeds(rows, metric, way=way, round=number) for metric in ("holdout_accuracy", "archive_accuracy")
            ]
            first = "–" if number == 0 else f"{corrections:.0f}"
            body.append(f"| {way} | {number} | {first} | {_share(figures[0])} | {_share(figures[1])} |")
    return head + "\n".join(body)


def _leak(rows: Rows) -> str:
    head = "| labels | way | validation says | untouched photos say | too high by |\n|---|---|---|---|---|\n"
    body = []
    for kind in ("true", "random"):
        for way in ways(rows):
            said = over_seeds(rows, "validation_accuracy", way=way, labels=kind)
            truth = over_seeds(rows, "holdout_accuracy", way=way, labels=kind)
            body.append(
                f"| {kind} | {way} | {_share(said)} | {_share(truth)} | {(said[0] - truth[0]) * 100:+.1f} points |"
            )
    return head + "\n".join(body)


def _share(found: tuple[float, float]) -> str:
    return f"{found[0] * 100:.1f} ± {found[1] * 100:.1f} %"
