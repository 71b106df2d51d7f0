"""Which reason for a correction a photo suggests: a head of its own on the features, which cannot change a verdict."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.domain.reasons import KnownReasons

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_FOLDS, _SEED, _STRENGTH, _ITERATIONS = 3, 7, 0.01, 300
# Of a photo with the reason and one without, how often the right one has to look more like it.
_LEAST_AUC = 0.7
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ReasonHead:
    """`weights` [width, R] and `bias` [R] of a logistic model of each name, told apart as well as `aucs` say (0-1)."""

    names: tuple[str, ...]
    aucs: tuple[float, ...]
    weights: Floats
    bias: Floats

    def to_bytes(self) -> bytes:
        out = io.BytesIO()
        np.savez(out, names=np.array(self.names), weights=self.weights, bias=self.bias)
        return out.getvalue()


def learn(features: Floats, task_ids: Sequence[str], known: KnownReasons) -> ReasonHead | None:
    """Of the first image of each photo; `features` [N, width] and `task_ids` go together.

    A reason of too few photos, near-duplicates counted once, is left out, and one that is not told apart on photos kept
    back. None when none is left.
    """
    first = {task: row for row, task in reversed(list(enumerate(task_ids)))}
    tasks = [task for task in first if task in known.of]
    seen = features[[first[task] for task in tasks]] if tasks else features[:0]
    clusters = np.array([known.cluster(task) for task in tasks])
    found = []
    for name in known.names:
        has = np.array([name in known.of[task] for task in tasks], bool)
        if min(len(set(clusters[has])), len(set(clusters[~has]))) < max(known.min_photos, _FOLDS):
            continue
        auc = _auc(seen, has, clusters)
        if auc >= _LEAST_AUC:
            found.append((name, auc, *_flat(_fitted(seen, has))))
    if not found:
        return None
    names, aucs, weights, bias = zip(*found, strict=True)
    return ReasonHead(names, aucs, np.stack(weights, axis=1), np.array(bias, np.float32))


def report(head: ReasonHead | None, known: KnownReasons) -> bytes:
    """For people: photos of each reason, and how well it is told apart where it is learned."""
    aucs = dict(zip(head.names, head.aucs, strict=True)) if head else {}
    photos = {name: sum(name in why for why in known.of.values()) for name in known.names}
    rows = [{"reason": name, "photos": count, "auc": aucs.get(name)} for name, count in photos.items()]
    return json.dumps(rows, ensure_ascii=False, indent=1).encode()


def _model() -> "Pipeline":
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=_ITERATIONS))


def _fitted(features: Floats, has: npt.NDArray[np.bool_]) -> "Pipeline":
    return _model().fit(features, has)


def _auc(features: Floats, has: npt.NDArray[np.bool_], clusters: npt.NDArray[np.str_]) -> float:
    """Of photos whose near-duplicates were kept back with them; a cluster weighs as much as any other."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    said = cross_val_predict(_model(), features, has, groups=clusters, cv=folds, method="decision_function")
    _, cluster, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    return round(float(roc_auc_score(has, said, sample_weight=1 / sizes[cluster])), 4)


def _flat(model: "Pipeline") -> tuple[Floats, float]:
    """One weight for each feature: the scaling is in it."""
    scaler, logistic = model[0], model[1]
    weights = logistic.coef_[0] / scaler.scale_
    return weights.astype(np.float32), float(logistic.intercept_[0] - weights @ scaler.mean_)
