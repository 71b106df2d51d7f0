"""Figures of a trained model: probabilities against confirmed labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.domain.events import DEFECTIVE
from pipeline.domain.training import ClassFigures
from pipeline.learning.learner import cross_entropy

_BINS = 10

Probabilities = npt.NDArray[np.float32]


def guessing_loss(targets: Probabilities) -> float:
    """Cross-entropy of answering every photo with the shares of the classes."""
    shares = targets.mean(axis=0)
    return cross_entropy(np.tile(shares, (len(targets), 1)), targets)


def natural_loss(probabilities: Probabilities, targets: Probabilities, learned_shares: Probabilities) -> float:
    """Cross-entropy if the classes were expected as often as they are in `targets`.

    A model that learned from other shares expects those: where defects are rare, class-balanced training calls far too
    many photos likely defects, and still tells them apart.
    """
    expected = probabilities * (targets.mean(axis=0) / learned_shares)
    return cross_entropy(expected / expected.sum(axis=1, keepdims=True), targets)


def figures(
    train: tuple[Probabilities, Probabilities], validation: tuple[Probabilities, Probabilities], labels: Sequence[str]
) -> dict[str, Any]:
    """Fields of `TrainingResult`; each side is probabilities and one-hot targets [N, labels]."""
    from sklearn import metrics

    probabilities, targets = validation
    truth, predicted, classes = targets.argmax(1), probabilities.argmax(1), range(len(labels))
    both, defective = len(set(truth.tolist())) > 1, labels.index(DEFECTIVE)
    rows = metrics.precision_recall_fscore_support(truth, predicted, labels=list(classes), zero_division=0)
    matrix = metrics.confusion_matrix(truth, predicted, labels=list(classes))
    return {
        "accuracy": float((train[0].argmax(1) == train[1].argmax(1)).mean()),
        "val_accuracy": float((predicted == truth).mean()),
        "loss": cross_entropy(*train),
        "val_loss": cross_entropy(*validation),
        "f1_score": float(np.mean(rows[2])),
        "auc": float(metrics.roc_auc_score(truth == defective, probabilities[:, defective])) if both else 0.0,
        "confusion": tuple(tuple(row) for row in matrix.tolist()),
        "per_class": tuple(
            ClassFigures(labels[i], float(rows[0][i]), float(rows[1][i]), float(rows[2][i]), int(rows[3][i]))
            for i in classes
        ),
        "ece": expected_calibration_error(probabilities, targets),
    }


def expected_calibration_error(probabilities: Probabilities, targets: Probabilities) -> float:
    """0-1: mean distance between confidence and accuracy, over ten bins of confidence weighted by their photos."""
    return float(sum(share * abs(said - right) for said, right, share in calibration(probabilities, targets)))


def calibration(probabilities: Probabilities, targets: Probabilities) -> list[tuple[float, float, float]]:
    """For each bin of confidence that has photos: mean confidence, accuracy, share of all photos."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == targets.argmax(1)
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        (float(confidence[bins == b].mean()), float(right[bins == b].mean()), float((bins == b).mean()))
        for b in sorted(set(bins.tolist()))
    ]
