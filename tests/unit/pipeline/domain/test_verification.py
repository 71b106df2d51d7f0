"""Which candidates may serve."""

import math
from dataclasses import replace

import pytest

from pipeline.domain.verification import (
    AccuracyMeasurement,
    Outcome,
    VerificationPolicy,
    accuracy,
    negative_flips,
    objections,
)
from tests.builders import a_performance, predictions

LABELS = ("양호", "불량")
POLICY = VerificationPolicy()


def measured(good=(96, 4), bad=(96, 4), holdout=(95, 5), champion=(90, 10)):
    validation = (*predictions(*good), *predictions(*bad, label="불량", start=1000))
    champions = None
    if champion is not None:
        champions = (*predictions(*champion), *predictions(*champion, label="불량", start=1000))
    return AccuracyMeasurement(
        champion_version="v1.0.0" if champion else None,
        validation=validation,
        holdout=predictions(*holdout, start=5000),
        champion_validation=champions,
        champion_holdout=None,
    )


def reasons(accuracy_measured=None, performance=None, labels=LABELS):
    checks = (
        *POLICY.judge_accuracy(accuracy_measured or measured(), labels),
        *POLICY.judge_performance(performance or a_performance()),
    )
    return objections(checks, labels)


def test_a_better_candidate_is_accepted():
    assert reasons() == ()


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"good": (91, 9), "bad": (88, 12), "champion": (80, 20)}, "validation_accuracy 0.895"),
        ({"holdout": (87, 13)}, "holdout_accuracy 0.87"),
        ({"good": (89, 11), "bad": (99, 1)}, "class_accuracy.양호 0.89"),
        ({"champion": (97, 3)}, "more than 0.9700 of champion v1.0.0 needed"),
        ({"champion": (96, 4)}, "more than 0.9600 of champion v1.0.0 needed"),
        ({"bad": (0, 0)}, "class_accuracy.불량 could not be measured"),
        ({"holdout": (0, 0)}, "holdout_accuracy could not be measured"),
    ],
)
def test_each_accuracy_condition_refuses_alone_and_says_why(change, objection):
    assert any(objection in reason for reason in reasons(measured(**change)))


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"mean_latency_ms": 200.1}, "mean_latency_ms 200.1, ≤ 200 needed"),
        ({"memory_bytes": 2_000_000_001}, "memory_bytes"),
        ({"throughput_per_second": 49.9}, "throughput_per_second 49.9, ≥ 50 needed"),
        ({"gpu_utilization": 0.81}, "gpu_utilization 0.81"),
        ({"mean_latency_ms": math.nan}, "mean_latency_ms could not be measured"),
    ],
)
def test_each_performance_condition_refuses_alone_and_says_why(change, objection):
    found = reasons(performance=a_performance(**change))
    assert len(found) == 1 and objection in found[0]


def test_values_exactly_on_the_bar_pass():
    exact = a_performance(mean_latency_ms=200, throughput_per_second=50, memory_bytes=2_000_000_000)
    assert reasons(measured(good=(90, 10), bad=(90, 10), holdout=(88, 12), champion=(80, 20)), exact) == ()


def test_no_gpu_is_said_and_no_objection():
    check = POLICY.judge_performance(a_performance(gpu_utilization=None))[-1]
    assert (check.outcome, check.reason) == (Outcome.NOT_MEASURED, "not measured: no GPU")


def test_the_first_model_needs_no_champion_but_every_floor():
    assert reasons(measured(champion=None)) == ()
    assert reasons(measured(champion=None, holdout=(80, 20))) != ()


def test_a_champion_measured_on_other_photos_proves_nothing():
    other = replace(measured(), champion_validation=predictions(90, 10, start=7000))
    assert any("not measured on the same photos" in reason for reason in reasons(other))


def test_a_check_that_did_not_run_is_a_refusal():
    checks = POLICY.judge_accuracy(measured(), LABELS)
    assert "throughput_per_second was not measured" in objections(checks, LABELS)


def test_an_empty_configuration_is_refused():
    assert "no labels configured" in objections((), ())


def test_accuracy_of_nothing_is_not_a_number():
    assert math.isnan(accuracy(()))


def test_negative_flips_are_the_photos_only_the_champion_got_right():
    assert negative_flips(predictions(1, 2), predictions(2, 1)) == ("TASK-00001",)


def test_other_thresholds_have_another_hash():
    assert POLICY.sha256() != VerificationPolicy(min_holdout_accuracy=0.9).sha256()
