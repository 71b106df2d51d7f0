"""A retry trains what was not trained before, whatever the refused run was asked to try."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.domain.checks import Check, CheckName, Group, Outcome, class_accuracy
from pipeline.domain.training import MAX_EPOCHS, Hyperparameters
from pipeline.steps.retry import retry
from tests.builders import a_blessing, a_training_result
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings

FLOORS = [name for name in CheckName if name.group is not Group.COMPARISON or name is CheckName.SLICES]
CONDITIONS = [class_accuracy("불량") if name is CheckName.CLASS_ACCURACY else str(name) for name in FLOORS]
BY_HEART = {"accuracy": 0.99, "val_accuracy": 0.85, "epochs_completed": 12}
SWEEP = Hyperparameters(sweep=True)


def following(chosen, failed, value=0.85, **facts):
    """What `retry` asks for after `chosen` did best and was refused for the conditions; None: nothing."""
    runs, blessings = FakeTrainingRuns(), FakeBlessings()
    runs.succeed(a_training_result("run-1", hyperparameters=chosen, **facts))
    checks = tuple(Check(name, Outcome.FAILED, value, 0.9, 200, "too weak") for name in failed)
    blessings.grant(a_blessing("run-1", accepted=False, checks=checks), None)
    return retry("run-1", blessings=blessings, runs=runs)


@given(
    asked=st.builds(
        Hyperparameters,
        epochs=st.sampled_from([1, 12, 50, MAX_EPOCHS]),
        learning_rate=st.sampled_from([0.001, 0.0001, 0.5, 1.0]),
        label_smoothing=st.sampled_from([0.0, 0.05, 0.1]),
        sweep=st.booleans(),
    ),
    chosen=st.integers(0, 5),
    failed=st.sets(st.sampled_from(CONDITIONS), min_size=1),
    accuracy=st.sampled_from([0.7, 0.95, 0.99]),
    val_accuracy=st.sampled_from([0.7, 0.85, 0.95]),
)
@example(asked=SWEEP, chosen=0, failed={"validation_accuracy"}, accuracy=0.99, val_accuracy=0.85)
@example(asked=Hyperparameters(), chosen=0, failed={"serving_agrees_with_training"}, accuracy=0.95, val_accuracy=0.85)
def test_a_retry_trains_what_it_advises_and_nobody_tried(asked, chosen, failed, accuracy, val_accuracy):
    did_best = asked.tried[chosen % len(asked.tried)]
    facts = {"accuracy": accuracy, "val_accuracy": val_accuracy, "epochs_completed": min(12, asked.epochs)}
    again = following(did_best, failed, **facts)
    if again is None:
        return
    changed = again["hyperparameters"]
    assert replace(did_best, **changed) in replace(asked, **changed).tried
    assert replace(did_best, **changed) not in asked.tried


@pytest.mark.parametrize("did_best", [h for h in SWEEP.tried if not h.label_smoothing])
def test_after_a_sweep_no_softer_labels_are_tried_again(did_best):
    assert following(did_best, ["validation_accuracy"], **BY_HEART) is None
    softer = following(replace(did_best, sweep=False), ["validation_accuracy"], **BY_HEART)
    assert softer["hyperparameters"] == {"label_smoothing": 0.1}


def test_a_champion_that_could_not_be_asked_is_no_reason_to_train_again():
    asked = {"accuracy": 0.95, "val_accuracy": 0.94, "epochs_completed": 50}
    assert following(Hyperparameters(), ["better_than_champion"], **asked)["hyperparameters"] == {"epochs": 100}
    assert following(Hyperparameters(), ["better_than_champion"], value=None, **asked) is None
