"""What people are told: one plain sentence, whatever somebody typed."""

from pipeline.domain.events import (
    OutgoingEvent,
    model_rolled_back,
    model_verification_failed,
    model_verification_held,
    training_failed,
)
from pipeline.domain.live_accuracy import Reading, State
from pipeline.domain.live_events import (
    canary_aborted,
    canary_started,
    dead_letters_waiting,
    hot_swap_failed,
    live_accuracy_low,
    live_accuracy_recovered,
    retraining_skipped,
    rollback_failed,
)
from pipeline.domain.notices import notice_of
from tests.builders import NOW

READING = Reading("v2.0.0", State.LOW, "81 of 100", 100, 81, 0.81, 0.72, 0.87, False)
OF_VERSION = {"event_id": "e", "version": "v2.0.0", "model_type": "LAUNDRY", "reason": "replica-2 refused", "at": NOW}

OF_VERDICT = {
    "event_id": "e",
    "run_id": "r",
    "model_type": "LAUNDRY",
    "reasons": ("weak",),
    "report_uri": "s3://m/report.json",
    "at": NOW,
}


def test_everything_a_person_waits_for_is_told():
    events = [
        training_failed(
            event_id="e",
            run_id="r",
            model_type="LAUNDRY",
            attempts=("1: NaN", "2: NaN"),
            link="http://mlflow/r",
            at=NOW,
        ),
        model_verification_failed(advice="more corrections are needed", **OF_VERDICT),
        model_verification_held(**OF_VERDICT),
        hot_swap_failed(**OF_VERSION),
        rollback_failed(**OF_VERSION),
        canary_aborted(**OF_VERSION),
        live_accuracy_low(event_id="e", reading=READING, model_type="LAUNDRY", consequence="Nothing", at=NOW),
        live_accuracy_recovered(event_id="e", reading=READING, model_type="LAUNDRY", at=NOW),
        dead_letters_waiting(event_id="e", count=4, at=NOW),
        retraining_skipped(event_id="e", run_id="r", model_type="LAUNDRY", reason="12 corrections", at=NOW),
    ]
    notices = [notice_of(event) for event in events]
    assert all(notices)
    assert "http://mlflow/r" in notices[0].body
    assert "s3://m/report.json" in notices[1].body and "more corrections are needed" in notices[1].body
    assert "unknown" not in " ".join(n.subject + n.body for n in notices)


def test_what_cannot_wait_till_morning_is_urgent():
    assert notice_of(rollback_failed(**OF_VERSION)).subject.startswith("URGENT: ")
    assert notice_of(hot_swap_failed(**OF_VERSION)).urgent
    assert not notice_of(canary_aborted(**OF_VERSION)).urgent


def test_what_only_programs_care_about_is_not_told():
    event = canary_started(event_id="e", version="v2.0.0", model_type="LAUNDRY", percent=10, at=NOW)
    assert notice_of(event) is None


def test_typed_text_forges_no_lines_and_fills_no_templates():
    reason = "fine\r\nBcc: all@example.com\x1b[31m\u202e {modelType} <script>alert(1)</script>" + "x" * 9000
    event = model_rolled_back(
        event_id="e", version="v1.0.0", model_type="LAUNDRY", from_version="v2.0.0", reason=reason, actor="kim", at=NOW
    )
    notice = notice_of(event)
    assert not {"\n", "\r", "\x1b", "\u202e"} & set(notice.subject + notice.body)
    assert "{modelType}" in notice.body
    assert len(notice.body) < 2000


def test_an_event_of_a_later_version_with_fewer_fields_is_still_told():
    assert "unknown" in notice_of(OutgoingEvent("e", "DeadLettersWaitingEvent", {})).subject
