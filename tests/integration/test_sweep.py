"""A small sweep: each head on record, the best of them the one that is gone on with, killed or not."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow import distribute

from pipeline.domain.training import Hyperparameters
from pipeline.learning import backbones
from pipeline.learning.checkpoints import Checkpoints
from pipeline.learning.fitting import Sides, Split
from pipeline.learning.learning import Learning
from pipeline.learning.trainer import KerasTrainer
from pipeline.ports.training import TrainingJob
from tests.builders import a_dataset
from tests.fakes.data import FakeObjects
from tests.fakes.faults import Killed
from tests.fakes.training import FakeExperiment
from tests.tiny_dataset import LABELS, tiny_dataset
from tests.two_devices import small_network

pytestmark = pytest.mark.integration

ARTIFACT = "s3://models/LAUNDRY/run-1/"
# So slow that what is asked for is not the best.
ASKED = Hyperparameters("small", epochs=2, batch_size=8, learning_rate=0.001, sweep=True)


def a_job(dataset):
    return TrainingJob("run-1", dataset, LABELS, ASKED, f"{ARTIFACT}checkpoints/", ARTIFACT)


@pytest.mark.slow
def test_every_head_is_on_record_and_the_model_is_that_of_the_best_one(monkeypatch):
    small = backbones.Backbone(lambda objects, uri: small_network(), border="first")
    monkeypatch.setattr(backbones, "BUILDERS", {"small": small})
    objects, experiment = FakeObjects(), FakeExperiment("1")
    trainer = KerasTrainer(objects, formats=())
    result = trainer.train(a_job(tiny_dataset(objects, 24, 8)), lambda epoch: None, experiment)
    tried = json.loads(experiment.files["sweep.json"])
    assert [(one["learning_rate"], one["label_smoothing"]) for one in tried] == [
        (h.learning_rate, h.label_smoothing) for h in ASKED.tried
    ]
    best = min(tried, key=lambda one: one["val_loss"])
    assert result.val_loss == pytest.approx(best["val_loss"], abs=1e-4)
    assert best["val_loss"] < tried[0]["val_loss"]
    chosen = result.hyperparameters
    assert (chosen.learning_rate, chosen.label_smoothing) == (best["learning_rate"], best["label_smoothing"])
    assert experiment.parameters["swept_learning_rate"] == str(chosen.learning_rate)


class Seen:
    """What a frozen network says of a few images."""

    job, strategy = a_job(a_dataset()), distribute.get_strategy()

    def features(self):
        rng, labels = np.random.default_rng(1), np.arange(24) % 2
        inputs = (rng.normal(size=(24, 4)) + labels[:, None]).astype(np.float32)
        side = Split(inputs, np.eye(2, dtype=np.float32)[labels])
        return Sides(side, side)


def learn(objects, on_epoch):
    checkpoints = Checkpoints(objects, Seen.job)
    checkpoints.open()
    learning = Learning(Seen(), checkpoints, on_epoch)
    return learning.run(), learning.tried


def test_killed_in_the_middle_of_it_and_run_again_it_comes_to_the_same_and_learns_no_head_twice():
    undisturbed, tried = learn(FakeObjects(), lambda epoch: None)
    objects, phases = FakeObjects(), []

    def until_the_third(epoch):
        if epoch.phase == "sweep-3":
            raise Killed

    with pytest.raises(Killed):
        learn(objects, until_the_third)
    again, tried_again = learn(objects, lambda epoch: phases.append(epoch.phase))
    assert {*phases} == {"sweep-3", "sweep-4", "sweep-5", "sweep-6"}
    assert tried_again == tried
    assert again.hyperparameters == undisturbed.hyperparameters
    assert (again.validation[0] == undisturbed.validation[0]).all()


@given(
    rate=st.floats(0, 1, exclude_min=True),
    smoothing=st.floats(0, 1, exclude_max=True),
    sweep=st.booleans(),
)
def test_a_sweep_tries_what_was_asked_for_first_and_nothing_twice_or_out_of_bounds(rate, smoothing, sweep):
    asked = Hyperparameters(learning_rate=rate, label_smoothing=smoothing, sweep=sweep)
    tried = asked.tried
    assert tried[0] == asked and len(set(tried)) == len(tried) <= 6
    assert sweep or tried == (asked,)
    assert all(0 <= h.learning_rate <= 1 and 0 <= h.label_smoothing < 1 for h in tried)
    assert {replace(h, learning_rate=rate, label_smoothing=smoothing) for h in tried} == {asked}
