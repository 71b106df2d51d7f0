"""Learning on small features: killed and resumed, divided and undivided, it comes to the same weights."""

from dataclasses import replace

import numpy as np
import pytest
from tensorflow import distribute

from pipeline.domain.errors import CheckpointRefused, ServiceUnavailable, TrainingFailed, TrainingInterrupted
from pipeline.domain.training import Hyperparameters
from pipeline.learning import checkpoints, measures
from pipeline.learning.backbones import split
from pipeline.learning.checkpoints import Checkpoints
from pipeline.learning.fine_tuning import fine_tune
from pipeline.learning.fitting import Phase, Sides, Split, fit, row_weights
from pipeline.learning.learner import Learner
from pipeline.learning.network import Network, new_head
from pipeline.ports.training import TrainingJob
from tests.builders import a_dataset
from tests.fakes.data import FakeObjects
from tests.fakes.faults import Killed

pytestmark = pytest.mark.integration

WIDTH = 16
TWELVE_EPOCHS = Hyperparameters(epochs=12, batch_size=8, patience=12)


def some_features(seed, count=48, width=WIDTH):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    features = rng.normal(size=(count, width)).astype(np.float32) + labels[:, None] * 0.5
    return Split(features.astype(np.float32), np.eye(2, dtype=np.float32)[labels])


def a_job(hyperparameters, *, fresh=False, **dataset):
    labels = ("양호", "불량")
    return TrainingJob("run-1", a_dataset(**dataset), labels, hyperparameters, "s3://c/1/", "s3://a/", fresh=fresh)


def learn(hyperparameters, objects=None, *, after_epoch=lambda epoch: None, train=None, fresh=False):
    """Trains a head on small features as the trainer does, with its checkpoint in `objects`; weights and progress."""
    h = hyperparameters
    kept = Checkpoints(objects or FakeObjects(), a_job(h, fresh=fresh))
    kept.open()
    network = Network(new_head(WIDTH, 2, h.seed))
    done = fit(
        Learner(network, h.learning_rate, distribute.get_strategy()),
        Sides(train or some_features(1), some_features(2)),
        h,
        Phase("head", 1, h.epochs, h.learning_rate, h.patience),
        kept.course("head", after_epoch),
    )
    return network.weights(), done


def ends_after(number, how=Killed):
    def after_epoch(epoch):
        if epoch.number == number:
            raise how

    return after_epoch


def same(weights, others):
    return all((a == b).all() for a, b in zip(weights, others, strict=True))


@pytest.fixture(scope="module")
def undisturbed():
    return learn(TWELVE_EPOCHS)


@pytest.mark.parametrize(("every", "number"), [(1, 3), (5, 6), (5, 10)])
def test_a_training_that_was_killed_goes_on_to_the_same_weights(undisturbed, every, number):
    parameters, objects = replace(TWELVE_EPOCHS, checkpoint_every_epochs=every), FakeObjects()
    with pytest.raises(Killed):
        learn(parameters, objects, after_epoch=ends_after(number))
    epochs = []
    weights, progress = learn(parameters, objects, after_epoch=epochs.append)
    assert epochs[0].number == number // every * every + 1
    assert same(weights, undisturbed[0])
    assert progress.history == undisturbed[1].history


def test_a_training_that_is_asked_to_end_loses_no_epoch(undisturbed):
    objects = FakeObjects()
    with pytest.raises(TrainingInterrupted):
        learn(TWELVE_EPOCHS, objects, after_epoch=ends_after(8, TrainingInterrupted))
    epochs = []
    weights, _ = learn(TWELVE_EPOCHS, objects, after_epoch=epochs.append)
    assert epochs[0].number == 9
    assert same(weights, undisturbed[0])


class FillsUp(FakeObjects):
    """Takes one checkpoint, then no more."""

    def write(self, uri, body, content_type="application/octet-stream"):
        if self.bodies:
            raise ServiceUnavailable("S3", "no space left")
        super().write(uri, body)


def test_storage_that_is_full_leaves_the_checkpoint_before_and_training_goes_on_from_it(undisturbed):
    objects = FillsUp()
    with pytest.raises(ServiceUnavailable, match="no space left"):
        learn(TWELVE_EPOCHS, objects)
    epochs = []
    weights, _ = learn(TWELVE_EPOCHS, FakeObjects(objects.bodies), after_epoch=epochs.append)
    assert epochs[0].number == 6
    assert same(weights, undisturbed[0])


def test_the_same_seed_gives_the_same_weights_and_another_one_others(undisturbed):
    assert same(learn(TWELVE_EPOCHS)[0], undisturbed[0])
    assert not same(learn(replace(TWELVE_EPOCHS, seed=8))[0], undisturbed[0])


def test_batches_in_parts_come_to_what_whole_batches_come_to(undisturbed):
    weights, _ = learn(replace(TWELVE_EPOCHS, batch_size=2, accumulation=4))
    for a, b in zip(weights, undisturbed[0], strict=True):
        assert a == pytest.approx(b, abs=1e-5)


def test_a_training_that_stops_early_ends_with_its_best_weights_not_its_last():
    parameters = Hyperparameters(epochs=60, batch_size=8, learning_rate=0.05, patience=3)
    weights, progress = learn(parameters)
    losses = [epoch["val_loss"] for epoch in progress.history]
    assert len(losses) == losses.index(min(losses)) + 1 + 3 < 60
    best, _ = learn(replace(parameters, epochs=progress.best_epoch))
    assert same(weights, best)


def test_features_that_are_no_numbers_are_reported_as_diverged():
    poisoned = Split(np.full((16, WIDTH), np.nan, np.float32), some_features(1, 16).targets)
    with pytest.raises(TrainingFailed, match="epoch 1 at rate 0.001") as failed:
        learn(Hyperparameters(epochs=3), train=poisoned)
    assert failed.value.cause == "diverged"


def test_a_learning_rate_that_explodes_is_reported_as_diverged():
    with pytest.raises(TrainingFailed, match="at rate 1e") as failed:
        learn(Hyperparameters(epochs=5, learning_rate=1e38))
    assert failed.value.cause == "diverged"


# Checkpoints


def kept_checkpoint():
    objects = FakeObjects()
    learn(TWELVE_EPOCHS, objects)
    return objects


def test_a_checkpoint_of_another_dataset_is_refused_with_both_named():
    objects = kept_checkpoint()
    with pytest.raises(CheckpointRefused, match=r"of another dataset \(DS-2026-001 .*DS-2026-009 .*--fresh"):
        Checkpoints(objects, a_job(TWELVE_EPOCHS, id="DS-2026-009")).open()


def test_a_checkpoint_of_other_code_is_refused(monkeypatch):
    objects = kept_checkpoint()
    monkeypatch.setattr(checkpoints, "code_version", lambda: "newer")
    with pytest.raises(CheckpointRefused, match=r"another code version \(.*now newer\).*another run id"):
        Checkpoints(objects, a_job(TWELVE_EPOCHS)).open()


def test_a_fresh_training_takes_up_nothing_even_if_it_dies_at_once():
    objects = kept_checkpoint()
    with pytest.raises(Killed):
        learn(TWELVE_EPOCHS, objects, fresh=True, after_epoch=ends_after(1))
    epochs = []
    learn(TWELVE_EPOCHS, objects, after_epoch=epochs.append)
    assert epochs[0].number == 1


def test_a_checkpoint_of_other_hyperparameters_is_not_taken_up():
    epochs = []
    learn(replace(TWELVE_EPOCHS, learning_rate=0.01), kept_checkpoint(), after_epoch=epochs.append)
    assert epochs[0].number == 1


# The second phase


def a_backbone(seed):
    """Images 4×4 → a first and a last block → features."""
    import keras

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu", padding="same", name="first")(inputs)
    x = keras.layers.BatchNormalization(name="normalised")(keras.layers.Conv2D(WIDTH, 3, name="last")(x))
    backbone = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    backbone.trainable = False
    return backbone


def tuned(epochs, learning_rate, *, objects=None, after_epoch=lambda epoch: None):
    """Head and last block on images whose classes differ by a pattern; the backbone and what became of it."""
    h = Hyperparameters(epochs=1, fine_tune_epochs=epochs, patience=epochs, learning_rate=learning_rate, batch_size=8)
    rng = np.random.default_rng(3)
    labels = np.arange(64) % 2
    images = rng.normal(size=(64, 4, 4, 3)).astype(np.float32)
    images[labels == 1, ::2] += 0.7
    backbone = a_backbone(1)
    trunk, tail = split(backbone, "first")
    activations = trunk.predict(images, verbose=0)
    targets = np.eye(2, dtype=np.float32)[labels]
    sides = Sides(Split(activations[:48], targets[:48]), Split(activations[48:], targets[48:]))
    kept = Checkpoints(objects or FakeObjects(), a_job(h))
    kept.open()
    before = [backbone.get_layer(name).get_weights() for name in ("first", "last")]
    done = fine_tune(
        new_head(WIDTH, 2, 1),
        tail,
        sides,
        h,
        kept.course("fine_tuning", after_epoch),
        strategy=distribute.get_strategy(),
    )
    after = [backbone.get_layer(name).get_weights() for name in ("first", "last")]
    return done, [same(a, b) for a, b in zip(before, after, strict=True)], backbone


def test_fine_tuning_changes_the_last_block_alone_and_is_kept_when_validation_gets_better():
    done, (first_is_same, last_is_same), backbone = tuned(20, 0.1)
    assert done.best_val_loss < done.history[0]["val_loss"]
    assert (first_is_same, last_is_same) == (True, False)
    assert backbone.trainable_variables == []


@pytest.mark.parametrize("learning_rate", [1e4, 1e38])
def test_fine_tuning_that_makes_it_worse_or_diverges_leaves_the_backbone_as_it_was(learning_rate):
    done, unchanged, _ = tuned(2, learning_rate)
    assert done is None
    assert unchanged == [True, True]


def test_fine_tuning_that_was_killed_goes_on_to_the_same_result():
    objects = FakeObjects()
    with pytest.raises(Killed):
        tuned(20, 0.1, objects=objects, after_epoch=ends_after(13))
    epochs = []
    done, _, backbone = tuned(20, 0.1, objects=objects, after_epoch=epochs.append)
    undisturbed, _, other = tuned(20, 0.1)
    assert epochs[0].number == 11
    assert done.history == undisturbed.history
    assert same(backbone.get_weights(), other.get_weights())


# Figures and settings


def test_rare_classes_weigh_more_only_when_balanced():
    targets = np.eye(2, dtype=np.float32)[[0, 0, 0, 1]]
    assert row_weights(targets, balanced=True).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    assert row_weights(targets, balanced=False).tolist() == [1, 1, 1, 1]


def test_label_smoothing_makes_a_model_less_sure():
    parameters = Hyperparameters(epochs=80, batch_size=8, learning_rate=0.05, patience=80)
    sure, _ = learn(parameters)
    doubting, _ = learn(replace(parameters, label_smoothing=0.3))
    assert np.abs(doubting[0]).sum() < np.abs(sure[0]).sum()


def test_a_model_that_is_right_as_often_as_it_says_has_no_calibration_error():
    said = np.tile(np.float32([0.75, 0.25]), (8, 1))
    truth = np.eye(2, dtype=np.float32)[[0, 0, 0, 1] * 2]
    assert measures.expected_calibration_error(said, truth) == pytest.approx(0, abs=1e-6)
    assert measures.expected_calibration_error(said, 1 - truth) == pytest.approx(0.5)


def test_guessing_costs_the_entropy_of_the_classes_shares():
    targets = np.eye(2, dtype=np.float32)[[0, 1]]
    assert measures.guessing_loss(targets) == pytest.approx(np.log(2))


@pytest.mark.parametrize("defects", [0.03, 0.05, 0.5])
def test_a_model_that_tells_classes_apart_is_no_plateau_however_rare_one_is(defects):
    """Right on 92 % of both classes, learned from classes that count alike: refused 38 % of the time at 5 % defects,
    99 % at 3 %, when its probabilities were compared with guessing at the natural shares."""
    draw, separation = np.random.default_rng(5), 2 * 1.405
    plateaus = {"as it was": 0, "like with like": 0}
    for _ in range(100):
        defective = np.arange(300) < round(300 * defects)
        seen = draw.normal(size=300) + separation * defective
        odds = np.exp(separation * seen - separation**2 / 2)
        answers = np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1).astype(np.float32)
        targets = np.eye(2, dtype=np.float32)[defective.astype(int)]
        guessing = measures.guessing_loss(targets)
        plateaus["as it was"] += measures.cross_entropy(answers, targets) >= guessing
        plateaus["like with like"] += measures.natural_loss(answers, targets, np.float32([0.5, 0.5])) >= guessing
    assert plateaus["like with like"] == 0
    assert plateaus["as it was"] > (20 if defects < 0.1 else -1)


def test_a_constant_answer_is_guessing_whatever_it_learned_from():
    targets = np.eye(2, dtype=np.float32)[[0, 0, 0, 1]]
    constant = np.tile(np.float32([0.4, 0.6]), (4, 1))
    natural = measures.natural_loss(constant, targets, np.float32([0.4, 0.6]))
    assert natural == pytest.approx(measures.guessing_loss(targets))
