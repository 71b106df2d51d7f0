"""Pictures of a training for people: curves, confusion matrix, calibration and ROC, as PNG."""

import io
from collections.abc import Sequence

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 - the backend must be chosen first
from matplotlib.figure import Figure  # noqa: E402

from pipeline.domain.events import DEFECTIVE, ENGLISH  # noqa: E402
from pipeline.learning.learning import Learned  # noqa: E402
from pipeline.learning.measures import Probabilities, calibration, expected_calibration_error  # noqa: E402


def of_training(learned: Learned, confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> dict[str, bytes]:
    """Every picture by its file name."""
    found = {
        "confusion-matrix.png": confusion_matrix(confusion, labels),
        "calibration.png": calibration_curve(*learned.validation),
        "roc.png": roc_curve(*learned.validation, labels.index(DEFECTIVE)),
    }
    for phase, history in learned.histories.items():
        name = "curves.png" if phase == "head" else f"curves-{phase.replace('_', '-')}.png"
        found[name] = curves(history, learned.best_epochs[phase])
    return found


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
    # Matplotlib's own font has no Korean letters.
    names = [ENGLISH.get(label, label) for label in labels]
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


def calibration_curve(probabilities: Probabilities, targets: Probabilities) -> bytes:
    """On the diagonal the model is right as often as it is confident; a larger dot stands for more photos."""
    figure, axis = plt.subplots(figsize=(4.5, 4))
    bins = calibration(probabilities, targets)
    axis.plot([0.5, 1], [0.5, 1], color="grey", linestyle=":")
    axis.plot([said for said, _, _ in bins], [right for _, right, _ in bins])
    axis.scatter([b[0] for b in bins], [b[1] for b in bins], s=[400 * b[2] + 10 for b in bins])
    error = expected_calibration_error(probabilities, targets)
    axis.set(xlabel="confidence", ylabel="share right", ylim=(-0.05, 1.05), title=f"calibration, ECE {error:.3f}")
    return _png(figure)


def roc_curve(probabilities: Probabilities, targets: Probabilities, defective: int) -> bytes:
    """Of the label at position `defective`; empty when the validation photos are all of one class."""
    from sklearn import metrics

    figure, axis = plt.subplots(figsize=(4.5, 4))
    truth = targets.argmax(1) == defective
    if truth.any() and not truth.all():
        false_alarms, found, _ = metrics.roc_curve(truth, probabilities[:, defective])
        axis.plot(false_alarms, found)
    axis.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axis.set(xlabel="false alarms", ylabel="defects found", title="ROC")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.tight_layout()
    figure.savefig(out, format="png", dpi=110)
    plt.close(figure)
    return out.getvalue()
