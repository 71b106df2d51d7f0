"""What follows a failed attempt or a refused model, to the letter: nothing else changes, and people read why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.training import MAX_EPOCHS, Adjustment, Hyperparameters, adjust, advise, learned_nothing
from tests.builders import a_training_result

# Other values than the defaults, so that one that is dropped is seen.
ASKED = Hyperparameters(
    epochs=40, batch_size=12, learning_rate=0.002, patience=4, label_smoothing=0.05, seed=3, accumulation=2
)


def changed(**changes):
    return Hyperparameters(**{**ASKED.__dict__, **changes})


@pytest.mark.parametrize(
    ("cause", "attempt", "expected"),
    [
        ("diverged", 1, Adjustment(changed(learning_rate=0.0002), "learning rate 0.002 → 0.0002")),
        ("diverged", 2, Adjustment(changed(learning_rate=0.0002), "learning rate 0.002 → 0.0002")),
        ("diverged", 3, Adjustment(None, "3 attempts used")),
        ("diverged", 4, Adjustment(None, "3 attempts used")),
        (
            "plateau",
            1,
            Adjustment(
                changed(learning_rate=0.002 / 3, patience=8), "learning rate 0.002 → 0.000666667, patience 4 → 8"
            ),
        ),
        (
            "out_of_memory",
            1,
            Adjustment(changed(batch_size=6, accumulation=4), "batch size 12 → 6, 4 batches a step"),
        ),
        (
            "too_little_data",
            1,
            Adjustment(None, "more photos are needed, other hyperparameters cannot help"),
        ),
        ("error", 1, Adjustment(changed(seed=4), "seed 3 → 4")),
    ],
)
def test_the_next_attempt_differs_in_what_the_failure_asks_for_alone(cause, attempt, expected):
    assert adjust(ASKED, cause, attempt) == expected


@pytest.mark.parametrize(("batch_size", "halved"), [(5, 4), (6, 4), (8, 4), (9, 4), (10, 5)])
def test_no_batch_becomes_smaller_than_four(batch_size, halved):
    after = adjust(Hyperparameters(batch_size=batch_size), "out_of_memory", 1).hyperparameters
    assert after.batch_size == halved


def refused(facts, **hyperparameters):
    return a_training_result(hyperparameters=Hyperparameters(epochs=40, **hyperparameters), **facts)


GOOD = {"accuracy": 0.95, "val_accuracy": 0.93, "epochs_completed": 39}


@pytest.mark.parametrize(
    ("failed", "facts", "changes", "sentence"),
    [
        (
            {"gpu_utilization", "holdout_accuracy"},
            GOOD,
            {"backbone": "EfficientNetLite0"},
            "a smaller backbone may help: ResNet50 → EfficientNetLite0",
        ),
        (
            {"holdout_accuracy"},
            {**GOOD, "epochs_completed": 40},
            {"epochs": 80},
            "it was still learning, more epochs may help: 40 → 80",
        ),
        (
            {"holdout_accuracy"},
            {**GOOD, "accuracy": 0.899},
            {"epochs": 80, "learning_rate": 0.0001},
            "it did not learn its own photos (0.90), smaller steps may help: learning rate 0.001 → 0.0001",
        ),
        (
            {"holdout_accuracy"},
            {**GOOD, "accuracy": 0.9, "val_accuracy": 0.8},
            {"label_smoothing": 0.1},
            "it learned photos by heart (0.90 against 0.80), softer labels may help: label smoothing 0 → 0.1",
        ),
    ],
)
def test_advice_names_the_change_and_what_was_seen(failed, facts, changes, sentence):
    expected = Hyperparameters(**{"epochs": 40, **changes})
    assert advise(refused(facts), failed) == Adjustment(expected, sentence)


@given(epochs=st.integers(1, MAX_EPOCHS), early=st.integers(0, 3), accuracy=st.floats(0, 1), rate=st.floats(1e-6, 1))
def test_no_advice_asks_for_more_than_a_person_may(epochs, early, accuracy, rate):
    asked = Hyperparameters(epochs=epochs, learning_rate=rate)
    refused = a_training_result(hyperparameters=asked, epochs_completed=max(epochs - early, 1), accuracy=accuracy)
    advised = advise(refused, {"holdout_accuracy"}).hyperparameters
    assert advised is None or (advised != asked and advised.epochs <= MAX_EPOCHS and 0 < advised.learning_rate <= 1)


@pytest.mark.parametrize("check", ["mean_latency_ms", "memory_bytes", "throughput_per_second", "gpu_utilization"])
def test_too_slow_or_too_large_even_with_the_smallest_backbone_needs_a_faster_machine(check):
    reason = "EfficientNetLite0 is the smallest backbone already: the server needs a faster machine"
    assert advise(refused(GOOD, backbone="EfficientNetLite0"), {check}) == Adjustment(None, reason)


@pytest.mark.parametrize("check", ["candidate_loads", "serving_agrees_with_training"])
def test_a_fault_of_the_export_comes_before_everything_a_training_could_change(check):
    reason = "the served model is not the trained one: look at the export, no training can help"
    assert advise(refused({**GOOD, "epochs_completed": 40}), {check, "memory_bytes"}) == Adjustment(None, reason)


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        ({"better"}, "more corrections are needed, training again on the same ones cannot help"),
        (
            {"class_accuracy.양호", "class_accuracy.불량", "better"},
            "more confirmed photos of 불량, 양호 are needed, training again cannot help",
        ),
    ],
)
def test_a_model_that_learned_well_needs_other_data(failed, reason):
    assert advise(refused(GOOD), failed) == Adjustment(None, reason)


def test_a_gap_of_eight_points_is_no_overfitting_yet():
    assert advise(refused({**GOOD, "accuracy": 1.0, "val_accuracy": 0.92}), {"better"}).hyperparameters is None


def test_as_bad_as_guessing_is_a_plateau():
    assert learned_nothing(0.69, 0.69, stopped_early=True)
