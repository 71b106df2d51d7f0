"""What follows a failed attempt, to the letter: nothing else changes, and people read why."""

import pytest

from pipeline.domain.training import Adjustment, Hyperparameters, adjust, learned_nothing

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


def test_as_bad_as_guessing_is_a_plateau():
    assert learned_nothing(0.69, 0.69, stopped_early=True)
