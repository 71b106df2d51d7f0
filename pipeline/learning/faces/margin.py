"""Learns a head with an angular margin: photos of one person together, people apart (Deng et al. 2019, ArcFace)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.learning.faces.head import FEWEST_IMPOSTORS, Array, Head, Impostors, apart, unit_length, whitening

_LOOK_EVERY = 10


@dataclass(frozen=True)
class MarginTraining:
    """`scale` and `margin_radians` are the loss's; `pull` times ‖W - I‖² holds the head near the identity.

    `patience` is how many looks without a better score end it, one look every ten steps.
    """

    steps: int = 200
    learning_rate: float = 0.005
    scale: float = 32.0
    margin_radians: float = 0.3
    pull: float = 0.05
    patience: int = 5


class Way(StrEnum):
    """How a head came about, the simplest first."""

    IDENTITY = "identity"
    WHITENING = "whitening"
    APART = "whitening, impostors apart"
    MARGIN = "margin"


@dataclass(frozen=True)
class Learned:
    """`score` is what the head had when it was looked at, after so many `steps` of learning."""

    head: Head
    score: float
    way: Way
    steps: int = 0


def retrained(
    base: Array,
    person: npt.NDArray[np.int64],
    score: Callable[[Head], float],
    impostors: Impostors | None = None,
    training: MarginTraining = MarginTraining(),  # noqa: B008 - frozen
) -> Learned:
    """The best of what is learned and what is computed in closed form; of equals the simpler one. As `learn`.

    `impostors` are used where there are enough, and kept where people who are not among these are told apart better.
    """
    ways = {Way.IDENTITY: Head.identity(base.shape[1]), Way.WHITENING: whitening(base, person)}
    if impostors is not None and len(impostors.base) >= FEWEST_IMPOSTORS:
        ways[Way.APART] = apart(base, person, impostors)
    closed = [Learned(head, score(head), way) for way, head in ways.items()]
    return max(*closed, learn(base, person, score, training), key=lambda one: one.score)


def learn(
    base: Array,
    person: npt.NDArray[np.int64],
    score: Callable[[Head], float],
    training: MarginTraining = MarginTraining(),  # noqa: B008 - frozen
) -> Learned:
    """The head that `score` likes best of those on the way, from the identity on.

    `base` float32 [N, width], `person` numbered from 0 [N]. `score` looks at people who are not among these, the higher
    the better; one that never rises leaves the identity. Every person counts alike, however many photos there are.
    """
    width = base.shape[1]
    photos, people = tf.constant(unit_length(base)), tf.constant(person)
    weights = tf.constant((1 / np.bincount(person))[person] / len(np.unique(person)), tf.float32)
    head = tf.Variable(tf.eye(width))
    centres = tf.Variable(unit_length(_centres(base, person)))
    optimizer = tf.keras.optimizers.Adam(training.learning_rate)
    best = Learned(Head.identity(width), score(Head.identity(width)), Way.IDENTITY)
    for step in range(1, training.steps + 1):
        with tf.GradientTape() as tape:
            loss = _loss(photos, people, weights, (head, centres), training)
        optimizer.apply_gradients(zip(tape.gradient(loss, (head, centres)), (head, centres), strict=True))
        if step % _LOOK_EVERY == 0:
            now = Head(head.numpy())
            if (found := score(now)) > best.score:
                best = Learned(now, found, Way.MARGIN, step)
            elif step - best.steps >= training.patience * _LOOK_EVERY:
                break
    return best


def _loss(
    photos: tf.Tensor,
    people: tf.Tensor,
    weights: tf.Tensor,
    variables: tuple[tf.Variable, tf.Variable],
    training: MarginTraining,
) -> tf.Tensor:
    head, centres = variables
    cosines = tf.linalg.l2_normalize(photos @ head, 1) @ tf.transpose(tf.linalg.l2_normalize(centres, 1))
    # Away from the ends, where the slope of the angle has no bound.
    angles = tf.acos(tf.clip_by_value(cosines, -1 + 1e-6, 1 - 1e-6))
    own = tf.one_hot(people, tf.shape(centres)[0], on_value=True, off_value=False, dtype=tf.bool)
    logits = training.scale * tf.where(own, tf.cos(angles + training.margin_radians), cosines)
    apart = tf.reduce_sum(weights * tf.nn.sparse_softmax_cross_entropy_with_logits(people, logits))
    return apart + training.pull * tf.reduce_sum((head - tf.eye(head.shape[0])) ** 2) / head.shape[0]


def _centres(base: Array, person: npt.NDArray[np.int64]) -> Array:
    vectors = unit_length(base)
    return np.stack([vectors[person == one].mean(0) for one in range(person.max() + 1)])
