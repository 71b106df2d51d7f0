"""Plots of both studies, as PNG."""

import numpy as np
from matplotlib.figure import Figure

from include.bench.plots import rendered
from include.bench.studies.table import Rows, over_seeds, ways

_COLOURS = ("#b3352c", "#c98a1b", "#1f6f54")


def of_replay(rows: Rows) -> bytes:
    figure = Figure(figsize=(10, 4))
    axes = figure.subplots(1, 2, sharey=True)
    titles = {"holdout_accuracy": "what comes in (untouched holdout)", "archive_accuracy": "what the first model knew"}
    rounds = sorted({row["round"] for row in rows})
    for axis, (metric, title) in zip(axes, titles.items(), strict=True):
        for way, colour in zip(ways(rows), _COLOURS, strict=True):
            mean, spread = np.array([over_seeds(rows, metric, way=way, round=number) for number in rounds]).T
            axis.plot(rounds, mean, marker="o", color=colour, label=way)
            axis.fill_between(rounds, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
        axis.set(xlabel="retraining", title=title, xticks=rounds)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy")
    axes[0].legend(loc="lower left")
    return rendered(figure, "png")


def of_leak(rows: Rows) -> bytes:
    figure = Figure(figsize=(10, 4))
    axes = figure.subplots(1, 2, sharey=True)
    names, metrics = ways(rows), {"validation_accuracy": "validation says", "holdout_accuracy": "untouched photos say"}
    for axis, kind in zip(axes, ("true", "random"), strict=True):
        for number, (metric, label) in enumerate(metrics.items()):
            found = np.array([over_seeds(rows, metric, way=way, labels=kind) for way in names])
            at, style = np.arange(len(names)) + (number - 0.5) * 0.36, {"color": _COLOURS[number + 1], "label": label}
            bars = axis.bar(at, found[:, 0], 0.34, yerr=found[:, 1], capsize=4, **style)
            axis.bar_label(bars, [f"{mean:.0%}" for mean in found[:, 0]], padding=6)
        axis.set(xticks=range(len(names)), xticklabels=names, title=f"{kind} labels", ylim=(0, 1.2))
        axis.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("accuracy")
    axes[1].legend(loc="upper right")
    return rendered(figure, "png")
