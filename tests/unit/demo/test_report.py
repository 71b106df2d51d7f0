"""The demo proves what it says: a promise that does not hold makes it fail."""

import json

import pytest

from include.demo.report import Report

FIGURES = {
    "events_published": 1111,
    "events_stored": 1100,
    "corrections": 163,
    "dead_lettered": 4,
    "duplicates_ignored": 7,
    "dataset_id": "DS-2026-002",
    "image_count": 2223,
    "train_count": 2000,
    "validation_count": 223,
    "model_version": "v1.1.0",
    "previous_version": "v1.0.0",
    "holdout_accuracy_before": 0.90,
    "holdout_accuracy_after": 0.97,
    "stage_seconds": {"collect": 6.0, "hot_swap": 3.0},
    "deploy_seconds": 1.0,
    "swap_milliseconds_max": 0.002,
    "rollback_seconds": 6.2,
    "requests_sent": 4000,
    "requests_failed": 0,
    "request_p99_ms_steady": 35.0,
    "request_p99_ms_during_swap": 70.0,
    "total_seconds": 300.0,
    "garbage_published": 4,
    "duplicates_published": 7,
    "unversioned_answers": 0,
}


def judged(**changes):
    report = Report()
    report.record(**{**FIGURES, **changes})
    report.judge_requests()
    report.judge_loop()
    return report


def test_with_every_promise_held_the_demo_passes(tmp_path):
    report = judged()
    report.write(tmp_path / "report.json")
    kept = json.loads((tmp_path / "report.json").read_text())
    assert kept["passed"] and kept["broken_promises"] == []
    assert FIGURES.items() <= kept.items()


@pytest.mark.parametrize(
    ("changes", "promise"),
    [
        ({"requests_failed": 1}, "not one request failed"),
        ({"requests_sent": 0}, "not one request failed"),
        ({"unversioned_answers": 1}, "names the model version"),
        ({"events_stored": 1099}, "every event is stored once"),
        ({"dead_lettered": 3}, "exactly the garbage"),
        ({"corrections": 119}, "120 or more"),
        ({"holdout_accuracy_after": 0.90}, "better on the holdout"),
        ({"holdout_accuracy_before": 0.5, "holdout_accuracy_after": 0.89}, "at least 0.90"),
        ({"image_count": 1}, "sum of its parts"),
        ({"deploy_seconds": 61.0}, "deployment within"),
        ({"rollback_seconds": 61.0}, "rollback within"),
    ],
)
def test_one_promise_that_does_not_hold_is_named(changes, promise):
    assert any(promise in broken for broken in judged(**changes).broken)


@pytest.mark.parametrize("figure", ["requests_failed", "holdout_accuracy_after", "rollback_seconds"])
def test_a_figure_that_was_not_measured_is_no_success(figure):
    report = Report()
    report.record(**{name: value for name, value in FIGURES.items() if name != figure})
    with pytest.raises(KeyError, match=figure):
        report.judge_requests()
        report.judge_loop()
