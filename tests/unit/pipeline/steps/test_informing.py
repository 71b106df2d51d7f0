"""A tracker that is away, or refuses, neither ends a training nor hides later what it missed."""

from datetime import timedelta

import pytest

from pipeline.domain.errors import ExperimentRunDeleted, ServiceUnavailable
from pipeline.steps.informing import Informing
from tests.fakes.events import FakeClock
from tests.fakes.training import FakeExperiment

AWAY = ServiceUnavailable("MLflow", "503 for a moment")


class Tracker(FakeExperiment):
    fault = None
    asked = 0

    def log_metrics(self, metrics, step=None):
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        super().log_metrics(metrics, step)


@pytest.fixture
def tracker():
    return Tracker("run-1/1")


def test_what_a_tracker_missed_it_hears_when_it_is_back_and_people_read_once_that_it_was_away(tracker, caplog):
    clock = FakeClock()
    informing, tracker.fault = Informing(tracker, clock), AWAY
    for photos in range(5):
        informing.log_metrics({f"photos.{photos}": 1.0})
    assert tracker.asked == 1, "it holds nothing up"
    tracker.fault = None
    clock.at += timedelta(minutes=2)
    informing.log_metrics({"photos.5": 1.0})
    assert list(tracker.metrics) == [f"photos.{n}" for n in range(6)]
    assert [record.message for record in caplog.records if "told later" in record.message] == [
        f"the tracker is told later what it misses; the training goes on: {AWAY}"
    ]


def test_at_the_end_it_is_told_at_once_and_people_read_what_it_never_heard(tracker, caplog):
    informing, tracker.fault = Informing(tracker, FakeClock()), AWAY
    informing.log_metrics({"accuracy": 0.9})
    informing.close()
    assert "the tracker never heard of 1 things" in caplog.text
    tracker.fault = None
    informing.close()
    assert tracker.metrics == {"accuracy": 0.9}


def test_what_it_refuses_is_left_out_and_what_follows_is_told(tracker):
    informing, tracker.fault = Informing(tracker, FakeClock()), ExperimentRunDeleted("a person deleted it")
    informing.log_metrics({"early": 1.0})
    tracker.fault = None
    informing.log_metrics({"late": 1.0})
    informing.note({"cause": "diverged"})
    assert (tracker.metrics, tracker.notes) == ({"late": 1.0}, {"cause": "diverged"})
