"""Plots of both studies, as PNG."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 - the backend must be chosen first
from matplotlib.figure import Figure  # noqa: E402

from include.studies.table import over_seeds, ways  # noqa: E402

_COLOURS = ("#b3352c", "#c98a1b", "#1f6f54")
Rows = Sequence[Mapping[str, Any]]


def of_replay(rows: Rows) -> bytes:
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    titles = {"holdout_accuracy": "what comes in (untouched holdout)", "archive_accuracy": "what the first model knew"}
    rounds = sorted({row["round"] for row in rows})
    for axis, (metric, title) in zip(axes, titles.items(), strict=True):
        for way, colour in zip(ways(rows), _COLOURS, strict=True):
            found = [over_seeds(rows, metric, way=way, round=number) for number in rounds]
            mean, spread = np.array([f[0] for f in found]), np.array([f[1] for f in found])
            axis.plot(rounds, mean, marker="o", color=colour, label=way)
            axis.fill_between(rounds, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
        axis.set(xlabel="retraining", title=title, xticks=rounds)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy")
    axes[0].legend(loc="lower left")
    return _png(figure)


def of_leak(rows: Rows) -> bytes:
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    names, metrics = ways(rows), {"validation_accuracy": "validation says", "holdout_accuracy": "untouched photos say"}
    for axis, kind in zip(axes, ("true", "random"), strict=True):
        for offset, ((metric, label), colour) in enumerate(
            zip(metrics.items(), (_COLOURS[1], _COLOURS[2]), strict=True)
        ):
            found = [over_seeds(rows, metric, way=way, labels=kind) for way in names]
            at = np.arange(len(names)) + (offset - 0.5) * 0.36
            bars = axis.bar(
                at, [f[0] for f in found], 0.34, yerr=[f[1] for f in found], color=colour, label=label, capsize=4
            )
            axis.bar_label(bars, [f"{f[0]:.0%}" for f in found], padding=6)
        axis.set(xticks=range(len(names)), xticklabels=names, title=f"{kind} labels", ylim=(0, 1.12))
        axis.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("accuracy")
    axes[1].legend(loc="lower right")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.tight_layout()
    figure.savefig(out, format="png", dpi=110)
    plt.close(figure)
    return out.getvalue()
