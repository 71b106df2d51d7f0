"""Pictures of a training for people: curves and confusion matrix, as PNG."""

import io
from collections.abc import Sequence

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 - the backend must be chosen first
from matplotlib.figure import Figure  # noqa: E402

# Matplotlib's own font has no Korean letters: pictures name the classes in English.
_ENGLISH = {"양호": "good", "불량": "defective"}


def curves(history: Sequence[dict[str, float]], best_epoch: int) -> bytes:
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    epochs = range(1, len(history) + 1)
    for axis, metric in zip(axes, ("loss", "accuracy"), strict=True):
        axis.plot(epochs, [h[metric] for h in history], label="train")
        axis.plot(epochs, [h[f"val_{metric}"] for h in history], label="validation")
        axis.axvline(best_epoch, color="grey", linestyle=":", label="best")
        axis.set(xlabel="epoch", title=metric)
        axis.legend()
    return _png(figure)


def confusion_matrix(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> bytes:
    """Rows true, columns predicted."""
    figure, axis = plt.subplots(figsize=(4.5, 4))
    axis.imshow(counts, cmap="Blues")
    names = [_ENGLISH.get(label, label) for label in labels]
    axis.set(
        xticks=range(len(names)),
        yticks=range(len(names)),
        xticklabels=names,
        yticklabels=names,
        xlabel="predicted",
        ylabel="confirmed",
        title="validation photos",
    )
    darkest = max(max(row) for row in counts)
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            axis.text(x, y, str(count), ha="center", va="center", color="white" if count > darkest / 2 else "black")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.tight_layout()
    figure.savefig(out, format="png", dpi=110)
    plt.close(figure)
    return out.getvalue()
