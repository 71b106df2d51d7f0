"""Version numbers, and what is tried after a failed training."""

import pytest

from pipeline.domain.models import VersionNumber
from pipeline.domain.training import RUNNING, Attempt, Hyperparameters, adjust, learned_nothing, next_attempt


def test_versions_compare_as_numbers():
    assert VersionNumber.parse("v1.10.0") > VersionNumber.parse("v1.9.0")


@pytest.mark.parametrize(
    "text", ["1.0.0", "v1.0", "v1.0.0.0", "latest", "../v1.0.0", "v-1.0.0", "v1.0.0\n", "v" + "9" * 10_000]
)
def test_odd_version_texts_are_refused(text):
    with pytest.raises(ValueError, match="is not a version"):
        VersionNumber.parse(text)


def test_out_of_memory_halves_the_batch_and_adds_up_two_of_them():
    adjustment = adjust(Hyperparameters(batch_size=32), "out_of_memory", attempt=1)
    assert adjustment.hyperparameters == Hyperparameters(batch_size=16, accumulation=2)
    assert adjustment.change == "batch size 32 → 16, 2 batches a step"


@pytest.mark.parametrize(("batch_size", "accumulation"), [(32, 1), (16, 2), (48, 1), (8, 5)])
def test_a_step_sees_as_many_images_after_running_out_of_memory_as_before(batch_size, accumulation):
    before = Hyperparameters(batch_size=batch_size, accumulation=accumulation)
    after = adjust(before, "out_of_memory", attempt=1).hyperparameters
    assert after.batch_size < batch_size
    assert after.batch_size * after.accumulation == batch_size * accumulation


def test_running_out_of_memory_with_the_smallest_batch_is_not_tried_again():
    adjustment = adjust(Hyperparameters(batch_size=4, accumulation=8), "out_of_memory", attempt=1)
    assert (adjustment.hyperparameters, adjustment.change) == (None, "out of memory at batch size 4 already")


def test_divergence_lowers_the_learning_rate():
    assert adjust(Hyperparameters(), "diverged", attempt=2).hyperparameters == Hyperparameters(learning_rate=0.0001)


def test_a_plateau_is_met_with_a_lower_rate_and_more_patience():
    adjustment = adjust(Hyperparameters(learning_rate=0.003, patience=5), "plateau", attempt=1)
    assert adjustment.hyperparameters == Hyperparameters(learning_rate=0.001, patience=10)
    assert adjustment.change == "learning rate 0.003 → 0.001, patience 5 → 10"


@pytest.mark.parametrize(
    ("best", "stopped_early", "nothing"), [(0.70, True, True), (0.60, True, False), (0.70, False, False)]
)
def test_a_model_no_better_than_guessing_when_patience_ran_out_has_learned_nothing(best, stopped_early, nothing):
    assert learned_nothing(best, 0.69, stopped_early=stopped_early) is nothing


def test_too_little_data_is_not_tried_again():
    assert adjust(Hyperparameters(), "too_little_data", attempt=1).hyperparameters is None


def test_the_third_attempt_is_the_last():
    adjustment = adjust(Hyperparameters(), "diverged", attempt=3)
    assert (adjustment.hyperparameters, adjustment.change) == (None, "3 attempts used")


def test_the_first_attempt_is_the_one_asked_for():
    assert next_attempt(Hyperparameters(), []) == Attempt(1, Hyperparameters(), RUNNING)


@pytest.mark.parametrize("cause", [RUNNING, ""])
def test_an_attempt_that_did_not_say_how_it_ended_goes_on(cause):
    attempt = Attempt(2, Hyperparameters(seed=8), cause)
    assert next_attempt(Hyperparameters(), [Attempt(1, Hyperparameters(), "error"), attempt]) == Attempt(
        2, Hyperparameters(seed=8), RUNNING
    )


def test_after_an_attempt_that_failed_comes_the_adjusted_one():
    tried = [Attempt(1, Hyperparameters(), "diverged")]
    assert next_attempt(Hyperparameters(), tried) == Attempt(2, Hyperparameters(learning_rate=0.0001), RUNNING)


def test_after_the_last_attempt_there_is_none():
    assert next_attempt(Hyperparameters(), [Attempt(3, Hyperparameters(), "error")]) is None
