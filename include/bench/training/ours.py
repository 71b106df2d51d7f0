"""Our way to train a head: features once, then epochs on them."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.domain.training import Hyperparameters
from pipeline.learning import features
from pipeline.learning.devices import strategy
from pipeline.learning.fitting import Course, Phase, Progress, Sides, Split, fit
from pipeline.learning.learner import Learner
from pipeline.learning.network import Network, new_head
from pipeline.learning.shards import Images

if TYPE_CHECKING:
    import keras


def one_hot(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    return np.eye(2, dtype=np.float32)[labels]


def extracted(backbone: "keras.Model", **splits: Images) -> list[Split]:
    found = features.extract(lambda: backbone, strategy(), {name: images.images for name, images in splits.items()})
    return [Split(side, one_hot(images.labels)) for side, images in zip(found, splits.values(), strict=True)]


def learned(train: Split, validation: Split, hyperparameters: Hyperparameters) -> Learner:
    """With the weights of its best epoch; never stops early."""
    h = hyperparameters
    learner = Learner(Network(new_head(train.inputs.shape[1], 2, h.seed)), h.learning_rate, strategy())
    phase = Phase("head", 1, h.epochs, h.learning_rate, h.epochs)
    fit(learner, Sides(train, validation), h, phase, Course(Progress(), lambda reached: None, lambda epoch: None))
    return learner
