"""Every condition has one name, and what is stored under it stays readable."""

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.checks import (
    AccuracyMeasurement,
    Check,
    CheckName,
    Group,
    Outcome,
    class_accuracy,
    label_of,
    required,
)
from pipeline.domain.verification import VerificationPolicy
from tests.builders import a_performance, a_photo, predictions

STORED = {
    "candidate_loads",
    "validation_accuracy",
    "better_than_champion",
    "holdout_accuracy",
    "serving_agrees_with_training",
    "mean_latency_ms",
    "memory_bytes",
    "throughput_per_second",
    "gpu_utilization",
    "class_accuracy",
    "not_worse_on_holdout",
    "gain_beyond_chance",
    "corrections_fixed",
    "negative_flips",
    "slices",
    "gain_not_suspicious",
}


def a_check(name):
    return Check(name, Outcome.PASSED, 1.0, 0.9, 100, "because")


def test_a_name_in_a_stored_verdict_means_the_same_for_ever():
    assert set(CheckName) == STORED


def test_a_check_is_stored_as_the_plain_name():
    assert json.loads(json.dumps(asdict(a_check(CheckName.MEAN_LATENCY))))["name"] == "mean_latency_ms"


@given(label=st.text(min_size=1, max_size=30))
def test_a_check_of_one_label_gives_its_label_back_whatever_it_is(label):
    assert label_of(class_accuracy(label)) == label


def test_no_other_check_has_a_label():
    assert [name for name in CheckName if label_of(name)] == []


def test_a_title_says_what_was_measured_and_in_which_unit():
    assert a_check(CheckName.MEAN_LATENCY).title == "Mean latency, ms"
    assert a_check(class_accuracy("불량")).title == "Accuracy on 불량, 0-1"
    assert a_check(CheckName.CANDIDATE_LOADS).title == "The model server loads it"


def test_a_check_that_is_made_no_more_is_called_by_its_stored_name():
    assert a_check("sharpness_of_photos").title == "sharpness_of_photos"


def test_the_policy_makes_exactly_the_required_checks():
    photos = {photo.task_id: photo for photo in map(a_photo, range(200))}
    answers = (*predictions(50, 0), *predictions(50, 0, label="불량", start=50))
    measured = AccuracyMeasurement("v1.0.0", answers, answers, answers, answers)
    policy, labels = VerificationPolicy(), ("양호", "불량")
    made = [*policy.judge_accuracy(measured, labels, photos), *policy.judge_performance(a_performance())]
    assert sorted(check.name for check in made) == sorted(required(labels, compared=True))
    assert not set(required(labels, compared=False)) & set(CheckName.of(Group.COMPARISON))
