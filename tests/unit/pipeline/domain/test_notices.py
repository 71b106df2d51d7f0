"""What people are told: one plain sentence, whatever somebody typed."""

from datetime import timedelta

import pytest

from pipeline.domain.live_accuracy import Reading, State
from pipeline.domain.notices import notice_of
from pipeline.domain.outgoing_events import (
    CanaryAbortedEvent,
    CanaryStartedEvent,
    DeadLettersWaitingEvent,
    HotSwapFailedEvent,
    HotSwapUnconfirmedEvent,
    LiveAccuracyLowEvent,
    LiveAccuracyRecoveredEvent,
    ModelDeployedEvent,
    ModelRolledBackEvent,
    ModelVerificationFailedEvent,
    ModelVerificationHeldEvent,
    OutgoingEvent,
    RetrainingSkippedEvent,
    RollbackFailedEvent,
    RollbackIncompleteEvent,
    TrainingFailedEvent,
)
from tests.builders import NOW

READING = Reading("v2.0.0", State.LOW, "81 of 100", 100, 81, 0.81, 0.72, 0.87, False)
OF_VERSION = {"id": "e", "model_version": "v2.0.0", "model_type": "LAUNDRY", "reason": "replica-2 refused", "at": NOW}
OF_VERDICT = {"id": "e", "run_id": "r", "model_type": "LAUNDRY", "reasons": ("weak",), "report": "s3://m/report.json"}
OF_TRAINING = {"id": "e", "run_id": "r", "model_type": "LAUNDRY"}


def told(event):
    return notice_of(event.outgoing())


def test_everything_a_person_waits_for_is_told():
    notices = [
        told(event)
        for event in (
            TrainingFailedEvent(attempts=("1: NaN", "2: NaN"), link="http://mlflow/r", failed_at=NOW, **OF_TRAINING),
            ModelVerificationFailedEvent(advice="more corrections are needed", failed_at=NOW, **OF_VERDICT),
            ModelVerificationHeldEvent(held_at=NOW, **OF_VERDICT),
            HotSwapFailedEvent(champion="v1.0.0", **OF_VERSION),
            HotSwapUnconfirmedEvent(champion="v1.0.0", **OF_VERSION),
            RollbackFailedEvent(**OF_VERSION),
            RollbackIncompleteEvent(
                id="e", model_version="v1.0.0", model_type="LAUNDRY", missing=("replica-2 does not answer",), at=NOW
            ),
            CanaryAbortedEvent(**OF_VERSION),
            LiveAccuracyLowEvent.of(READING, id="e", model_type="LAUNDRY", consequence="Nothing", at=NOW),
            LiveAccuracyRecoveredEvent.of(READING, id="e", model_type="LAUNDRY", at=NOW),
            DeadLettersWaitingEvent(id="e", count=4, at=NOW),
            RetrainingSkippedEvent(reason="12 corrections", at=NOW, **OF_TRAINING),
        )
    ]
    assert all(notices)
    assert "http://mlflow/r" in notices[0].body
    assert "s3://m/report.json" in notices[1].body and "more corrections are needed" in notices[1].body
    assert "unknown" not in " ".join(n.subject + n.body for n in notices)


def test_what_cannot_wait_till_morning_is_urgent():
    assert told(RollbackFailedEvent(**OF_VERSION)).subject.startswith("URGENT: ")
    assert told(HotSwapFailedEvent(champion="v1.0.0", **OF_VERSION)).urgent
    assert told(HotSwapUnconfirmedEvent(champion="v1.0.0", **OF_VERSION)).urgent
    assert not told(CanaryAbortedEvent(**OF_VERSION)).urgent


@pytest.mark.parametrize("needs_person", [True, False])
def test_an_accuracy_that_is_far_too_low_is_urgent_when_nothing_but_a_person_can_help(needs_person):
    low = {"id": "e", "model_type": "LAUNDRY", "consequence": "Nothing", "at": NOW}
    assert told(LiveAccuracyLowEvent.of(READING, needs_person=needs_person, **low)).urgent == needs_person


@pytest.mark.parametrize("frozen", [True, False])
def test_a_rollback_by_the_monitor_says_that_promotions_are_frozen_and_how_to_go_on(frozen):
    back = {"id": "e", "model_version": "v1.0.0", "model_type": "LAUNDRY", "rolled_back_from": "v2.0.0"}
    by = {"reason": "70 of 100", "actor": "live_accuracy_monitor", "rolled_back_at": NOW}
    body = told(ModelRolledBackEvent(**back, **by, promotions_frozen=frozen)).body
    assert body.startswith("live_accuracy_monitor took v2.0.0 down: 70 of 100.")
    assert ("clear-freeze" in body) == frozen


def test_only_what_was_seen_to_fail_is_said_to_leave_the_champion_serving():
    assert "v1.0.0 keeps serving" in told(HotSwapFailedEvent(champion="v1.0.0", **OF_VERSION)).body
    assert "keeps serving" not in told(HotSwapUnconfirmedEvent(champion="v1.0.0", **OF_VERSION)).body


@pytest.mark.parametrize(
    ("before", "said"), [(None, "It is the first one, in 6.0s."), ("v1.0.0", "It replaced v1.0.0, in 6.0s.")]
)
@pytest.mark.parametrize(
    ("model_type", "figure"),
    [
        ("LAUNDRY", "It was right on 96.5% of the validation photos."),
        ("FACE", "It takes 96.5% of pairs of photos of one person for one."),
    ],
)
def test_a_model_that_went_live_says_what_it_replaced_and_what_its_figure_is_of(before, said, model_type, figure):
    event = ModelDeployedEvent(
        id="e",
        model_type=model_type,
        model_version="v1.1.0",
        accuracy=0.9649122807,
        deployed_at=NOW,
        previous_version=before,
        deployment_time=timedelta(seconds=6),
    )
    assert told(event).body == f"{said} {figure}"


def test_a_run_that_trains_nothing_is_told_by_what_it_was_to_be():
    night, retry = (
        told(RetrainingSkippedEvent(reason="12 corrections", at=NOW, forced_for=forced, **OF_TRAINING))
        for forced in (None, "run-0 was refused: more epochs")
    )
    assert night.body == "The nightly run had nothing to do: 12 corrections."
    again = "Run r could not begin (run-0 was refused: more epochs): 12 corrections. When that is over, force one anew."
    assert retry.body == again and "night" not in retry.subject + retry.body


def test_what_only_programs_care_about_is_not_told():
    event = CanaryStartedEvent(id="e", model_version="v2.0.0", model_type="LAUNDRY", traffic_percent=10, at=NOW)
    assert told(event) is None


def test_typed_text_forges_no_lines_and_fills_no_templates():
    reason = "fine\r\nBcc: all@example.com\x1b[31m\u202e {modelType} <script>alert(1)</script>" + "x" * 9000
    event = ModelRolledBackEvent(
        id="e",
        model_version="v1.0.0",
        model_type="LAUNDRY",
        rolled_back_from="v2.0.0",
        reason=reason,
        actor="kim",
        rolled_back_at=NOW,
    )
    notice = told(event)
    assert not {"\n", "\r", "\x1b", "\u202e"} & set(notice.subject + notice.body)
    assert "{modelType}" in notice.body
    assert len(notice.body) < 2000


def test_an_event_of_a_later_version_with_fewer_fields_is_still_told():
    assert "unknown" in notice_of(OutgoingEvent("e", "DeadLettersWaitingEvent", {})).subject
