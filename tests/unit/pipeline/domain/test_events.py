"""What a `TaskConfirmedEvent` on the wire may look like."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.event_bounds import MAX_EXTRA_BYTES, InvalidEvent, stored_bytes
from pipeline.domain.events import parse_task_confirmed
from pipeline.domain.outgoing_events import ModelDeployedEvent
from tests.builders import BUCKETS, NOW, event_body, event_fields
from tests.corpus.json_values import ANY_JSON
from tests.corpus.messages import messages


def parse(body: bytes):
    return parse_task_confirmed(body, now=NOW, photo_buckets=BUCKETS)


def test_the_specifications_example_is_a_correction():
    event = parse(event_body())
    assert (event.task_id, event.final_result, event.corrected) == ("TASK-12345", "양호", True)
    assert event.confirmed_at == datetime(2026, 5, 4, 11, 30, tzinfo=UTC)


def test_unknown_fields_are_kept():
    assert parse(event_body(branch="강남점", score=0.4)).extra == {"branch": "강남점", "score": 0.4}


def test_the_model_version_is_optional():
    assert parse(event_body(modelVersion="v1.0.0")).model_version == "v1.0.0"
    assert parse(event_body()).model_version is None
    assert parse(event_body(modelVersion="")).model_version is None


@pytest.mark.parametrize("model_type", ["FACE", "laundry", "", None, 5, ["LAUNDRY"]])
def test_nobody_learns_from_what_people_said_of_another_model(model_type):
    with pytest.raises(InvalidEvent, match="modelType is .*, expected LAUNDRY or FACE"):
        parse(event_body(modelType=model_type))


def test_a_message_may_say_that_it_is_about_laundry():
    assert parse(event_body(modelType="LAUNDRY")).key == parse(event_body()).key


def test_a_confirmation_is_the_same_whatever_its_zone_is_called_and_whatever_is_said_beside_it():
    said = [event_body(timestamp=f"2026-05-04T{at}") for at in ("11:30:00Z", "11:30:00+00:00", "20:30:00.0+09:00")]
    assert len({parse(body).key for body in (*said, event_body(correctionReason="다른 설명"))}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"taskId": "TASK-2"},
        {"timestamp": "2026-05-04T11:30:00.000001Z"},
        {"finalResult": "불량", "corrected": False},
        {"aiResult": "양호", "corrected": False},
    ],
)
def test_another_task_instant_or_result_is_another_confirmation(changes):
    assert parse(event_body()).key != parse(event_body(**changes)).key


_CORPUS = {name: odd for name, odd in messages() if "AMQP" not in (odd.because or "")}


@pytest.mark.parametrize("odd", _CORPUS.values(), ids=_CORPUS)
def test_a_message_of_the_corpus_is_an_event_or_refused_with_the_reason(odd):
    if odd.because is None:
        assert parse(odd.body).task_id == odd.task_id
    else:
        with pytest.raises(InvalidEvent, match=re.escape(odd.because)):
            parse(odd.body)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_refused_in_words(body):
    with pytest.raises(InvalidEvent):
        parse(body)


@given(st.dictionaries(st.sampled_from(list(event_fields())), ANY_JSON), st.dictionaries(st.text(), ANY_JSON))
def test_any_fields_are_an_event_that_the_table_takes_or_refused_in_words(known, unknown):
    try:
        event = parse(json.dumps({**unknown, **event_fields(**known)}).encode())
    except InvalidEvent as refused:
        assert str(refused)
    else:
        assert event.confirmed_at.tzinfo is UTC and stored_bytes(event.extra) <= MAX_EXTRA_BYTES


@pytest.mark.parametrize(
    "field", ["eventType", "taskId", "helperId", "finalResult", "aiResult", "corrected", "photoUrl", "timestamp"]
)
@pytest.mark.parametrize("value", [..., None, 1e300, [], {}])
def test_a_missing_or_mistyped_field_is_named(field, value):
    with pytest.raises(InvalidEvent, match=field):
        parse(event_body(**{field: value}))


@pytest.mark.parametrize("field", ["correctionReason", "modelVersion"])
@pytest.mark.parametrize("value", [5, True, [], {}])
def test_a_mistyped_field_that_may_be_missing_is_named(field, value):
    with pytest.raises(InvalidEvent, match=f"field {field} is {type(value).__name__}, expected str or null"):
        parse(event_body(**{field: value}))
    assert parse(event_body(**{field: None}))


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
