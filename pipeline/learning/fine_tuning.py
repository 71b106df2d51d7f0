"""The second phase: the backbone's last block learns too, from cached activations; kept only if validation improves."""

import logging
from typing import TYPE_CHECKING, Any

from pipeline.domain.errors import TrainingFailed
from pipeline.domain.training import Hyperparameters
from pipeline.learning.fitting import Course, Phase, Progress, Sides, fit
from pipeline.learning.learner import Learner
from pipeline.learning.network import Network

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

NAME = "fine_tuning"
_SLOWER = 10


def fine_tune(
    head: "keras.Model",
    tail: "keras.Model",
    sides: Sides,
    hyperparameters: Hyperparameters,
    course: Course,
    *,
    strategy: Any,
) -> Progress | None:
    """Go on training head and tail. None when that was not better; then both are as before."""
    for layer in tail.layers:
        layer.trainable = True
    network, h = Network(head, tail), hyperparameters
    before = network.weights()
    learner = Learner(network, h.learning_rate / _SLOWER, strategy)
    unchanged, _ = learner.evaluate(sides.validation.inputs, sides.validation.targets)
    phase = Phase(NAME, 2, h.fine_tune_epochs, h.learning_rate / _SLOWER, h.patience)
    try:
        done = fit(learner, sides, h, phase, course)
    except TrainingFailed as failure:
        log.warning("fine-tuning failed (%s): the head's training stands", failure)
        done = None
    finally:
        for layer in tail.layers:
            layer.trainable = False
    if done and done.best_val_loss < unchanged:
        log.info("fine-tuning kept: val_loss %.4f → %.4f", unchanged, done.best_val_loss)
        return done
    log.info("fine-tuning not kept: val_loss %.4f before", unchanged)
    network.put_back(before)
    return None
