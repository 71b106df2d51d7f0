"""Table and plot of who is promoted, held and refused."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from include.bench.plots import rendered
from include.bench.verdicts.rates import Rates

_COLUMNS = (
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


def table(found: Sequence[Rates]) -> str:
    """As Markdown, a row for each size and candidate."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for r in found:
        photos, candidate, *shares = vars(r).values()
        lines.append(f"| {photos} | {candidate} | {' | '.join(f'{share:.1%}' for share in shares)} |")
    return "\n".join(lines) + "\n"


def plot(found: Sequence[Rates]) -> bytes:
    """As SVG, one chart for each size."""
    sizes = sorted({r.photos for r in found})
    figure = Figure(figsize=(12, 4.2))
    axes = figure.subplots(1, len(sizes), sharey=True)
    for axis, size in zip(axes, sizes, strict=True):
        rows = [r for r in found if r.photos == size]
        at, promoted = np.arange(len(rows)), [r.evidence_promotes for r in rows]
        held, specification = [r.evidence_inconclusive for r in rows], [r.specification_promotes for r in rows]
        axis.bar(at - 0.2, specification, 0.36, color="#adb5bd", label="specification: promoted")
        axis.bar(at + 0.2, promoted, 0.36, color="#2b8a3e", label="ours: promoted, proven better")
        axis.bar(at + 0.2, held, 0.36, bottom=promoted, color="#ffd43b", label="ours: held (floors or a person)")
        axis.set_title(f"{size} validation and {size} holdout photos", fontsize=10)
        axis.set_xticks(at, [r.candidate.replace(" ", "\n", 2) for r in rows], fontsize=8)
        axis.set_ylim(0, 1)
    axes[0].set_ylabel("share of rounds")
    axes[0].legend(fontsize=7, loc="upper left", frameon=False)
    return rendered(figure, "svg")
