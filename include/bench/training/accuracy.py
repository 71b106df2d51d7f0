"""Accuracy of our training and of a plain fit: the same photos, the same settings, judged on photos neither saw."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from include.bench.backbones import BACKBONES
from include.bench.measurement import Found, Say
from include.bench.training import ours, plain
from include.bench.training.dataset import photos
from pipeline.domain.training import Hyperparameters
from pipeline.learning.fitting import Split
from pipeline.learning.shards import Images

if TYPE_CHECKING:
    import keras

_TRAIN, _VALIDATION, _UNSEEN = 200, 60, 400
_EPOCHS, _BATCH, _SEEDS = 8, 32, range(5)


def accuracy(say: Say) -> Found:
    say(f"drawing {_TRAIN + _VALIDATION + _UNSEEN} photos")
    splits = {"train": photos(_TRAIN, 1), "validation": photos(_VALIDATION, 2), "unseen": photos(_UNSEEN, 3)}
    backbone = BACKBONES["EfficientNetLite0"]()
    backbone.trainable = False
    features = ours.extracted(backbone, **splits)
    shares = []
    for seed in _SEEDS:
        shares.append((_ours(features, splits["unseen"], seed), _plain(backbone, splits, seed)))
        say(f"seed {seed}: ours {shares[-1][0]:.4f}, plain {shares[-1][1]:.4f}")
    here, there = np.mean(shares, axis=0)
    apart = [100 * (a - b) for a, b in shares]
    figures = {
        "accuracy_ours": float(here),
        "accuracy_plain_fit": float(there),
        "accuracy_difference_vs_plain_fit_pp": float(np.mean(apart)),
        "accuracy_difference_of_one_seed_max_pp": float(np.abs(apart).max()),
    }
    return Found(
        figures,
        f"EfficientNetLite0, {_TRAIN} demo photos, {_VALIDATION} for validation, {_EPOCHS} epochs, batch {_BATCH}, "
        f"{len(_SEEDS)} seeds; accuracy on {_UNSEEN} photos that neither saw; the plain fit runs the frozen network on "
        "images. Difference: mean over seeds of ours minus plain; the two draw order, dropout and first weights apart.",
    )


def _ours(features: Sequence[Split], unseen: Images, seed: int) -> float:
    parameters = Hyperparameters(epochs=_EPOCHS, batch_size=_BATCH, seed=seed)
    return _right(ours.learned(features[0], features[1], parameters).predict(features[2].inputs), unseen)


def _plain(backbone: "keras.Model", splits: Mapping[str, Images], seed: int) -> float:
    model = plain.compiled(backbone, seed)
    plain.fit(model, splits["train"], splits["validation"], epochs=_EPOCHS, batch=_BATCH)
    return _right(model.predict(splits["unseen"].images, verbose=0), splits["unseen"])


def _right(answers: npt.NDArray[np.float32], images: Images) -> float:
    """Share of right answers, 0-1."""
    return float((answers.argmax(1) == images.labels).mean())
