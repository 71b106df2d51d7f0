"""What a `TaskConfirmedEvent` on the wire may look like."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.domain.events import InvalidEvent, parse_task_confirmed
from pipeline.domain.model_events import ModelDeployedEvent
from tests.builders import BUCKETS, NOW, event_body
from tests.corpus import POISON_MESSAGES


def parse(body: bytes, message_id: str | None = None):
    return parse_task_confirmed(body, message_id=message_id, now=NOW, photo_buckets=BUCKETS)


def test_the_specifications_example_is_a_correction():
    event = parse(event_body())
    assert (event.task_id, event.final_result, event.corrected) == ("TASK-12345", "양호", True)
    assert event.confirmed_at == datetime(2026, 5, 4, 11, 30, tzinfo=UTC)


def test_unknown_fields_are_kept():
    assert parse(event_body(branch="강남점", score=0.4)).extra == {"branch": "강남점", "score": 0.4}


def test_the_model_version_is_optional():
    assert parse(event_body(modelVersion="v1.0.0")).model_version == "v1.0.0"
    assert parse(event_body()).model_version is None


def test_a_redelivery_without_message_id_has_the_same_key():
    assert parse(event_body()).key == parse(event_body(correctionReason="다른 설명")).key


def test_another_confirmation_of_the_task_has_another_key():
    assert parse(event_body()).key != parse(event_body(timestamp="2026-05-04T11:31:00Z")).key


def test_the_message_id_is_the_key_when_there_is_one():
    assert parse(event_body(), message_id="outbox-7").key == "outbox-7"


@pytest.mark.parametrize(("body", "complaint"), POISON_MESSAGES)
def test_an_unusable_message_is_refused_with_the_reason(body, complaint):
    with pytest.raises(InvalidEvent, match=complaint):
        parse(body)


@pytest.mark.parametrize(
    "field", ["eventType", "taskId", "helperId", "finalResult", "aiResult", "corrected", "photoUrl", "timestamp"]
)
@pytest.mark.parametrize("value", [..., None, 1e300, [], {}])
def test_a_missing_or_mistyped_field_is_named(field, value):
    with pytest.raises(InvalidEvent, match=field):
        parse(event_body(**{field: value}))


def test_hostile_text_in_the_correction_reason_is_kept_as_data():
    reason = "<script>alert(1)</script>\x1b[31m\nERROR forged"
    assert parse(event_body(correctionReason=reason)).correction_reason == reason


def test_a_model_deployed_event_has_the_specifications_fields():
    event = ModelDeployedEvent(
        id="e1",
        model_version="v2.3.5",
        model_type="LAUNDRY",
        accuracy=0.92,
        deployed_at=NOW,
        previous_version="v2.3.4",
        deployment_time=timedelta(seconds=45),
    )
    assert event.outgoing().payload == {
        "eventType": "ModelDeployedEvent",
        "modelVersion": "v2.3.5",
        "modelType": "LAUNDRY",
        "accuracy": 0.92,
        "deployedAt": "2026-05-04T12:00:00.000Z",
        "previousVersion": "v2.3.4",
        "deploymentTime": "45.0s",
    }
