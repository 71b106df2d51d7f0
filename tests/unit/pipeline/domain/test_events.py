"""What a `TaskConfirmedEvent` on the wire may look like."""

from datetime import UTC, datetime

import pytest

from pipeline.domain.events import InvalidEvent, model_deployed, parse_task_confirmed
from tests.builders import BUCKETS, NOW, event_body


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


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"[]", "JSON list"),
        (b"null", "JSON NoneType"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 10_000, "nested too deeply"),
        (b'{"a":' * 10_000, "nested too deeply"),
        (b'{"x": NaN}', "NaN is no JSON number"),
        (b"{" + b" " * 10_000_000 + b"}", "over the limit"),
        (event_body(taskId="A\x00B"), "NUL"),
        (event_body(eventType="TaskCreatedEvent"), "eventType"),
        (event_body(corrected="true"), "corrected is str, expected bool"),
        (event_body(corrected=1), "corrected is int, expected bool"),
        (event_body(finalResult="보통"), "finalResult '보통' is not one of 양호, 불량"),
        (event_body(corrected=False), "say otherwise"),
        (event_body(aiResult="양호"), "say otherwise"),
        (event_body(timestamp="2026-05-04T11:30:00"), "no time zone"),
        (event_body(timestamp="1970-01-01T00:00:00Z"), "before 2020"),
        (event_body(timestamp="2970-01-01T00:00:00Z"), "in the future"),
        (event_body(timestamp="yesterday"), "not ISO 8601"),
        (event_body(taskId=""), "taskId"),
        (event_body(taskId="x" * 10_000), "taskId"),
        (event_body(taskId="a\nb"), "taskId"),
        (event_body(taskId="../etc"), "taskId"),
        (event_body(taskId="TASK'; DROP TABLE"), "taskId"),
        (event_body(taskId="🧺"), "taskId"),
        (event_body(photoUrl="http://example.org/a.jpg"), "photoUrl"),
        (event_body(photoUrl="file:///etc/passwd"), "photoUrl"),
        (event_body(photoUrl="s3://secrets/a.jpg"), "bucket 'secrets'"),
        (event_body(photoUrl="s3://tasks/../x"), "photoUrl"),
        (event_body(photoUrl="s3://tasks/a/../x"), "photoUrl"),
        (event_body(photoUrl="s3://tasks/%2e%2e/x"), "photoUrl"),
        (event_body(correctionReason="a" * 1_000_000), "over the limit"),
        (event_body(correctionReason="a" * 5000), "longer than"),
        (event_body(correctionReason=7), "correctionReason is int"),
    ],
)
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
    event = model_deployed(
        event_id="e1",
        version="v2.3.5",
        model_type="LAUNDRY",
        accuracy=0.92,
        deployed_at=NOW,
        previous_version="v2.3.4",
        deployment_seconds=45,
    )
    assert event.payload == {
        "eventType": "ModelDeployedEvent",
        "modelVersion": "v2.3.5",
        "modelType": "LAUNDRY",
        "accuracy": 0.92,
        "deployedAt": "2026-05-04T12:00:00.000Z",
        "previousVersion": "v2.3.4",
        "deploymentTime": "45.0s",
    }
