"""What a confirmation may be and what its table takes are the same."""

import json
from contextlib import suppress
from dataclasses import fields

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.domain.errors import ServiceTooSlow, ServiceUnavailable
from pipeline.domain.event_bounds import EARLIEST, LENGTHS, MAX_EXTRA_BYTES, InvalidEvent, demand_storable, stored_bytes
from pipeline.domain.events import LABELS, TaskConfirmedEvent
from tests.builders import an_event
from tests.corpus.json_values import ANY_JSON

pytestmark = pytest.mark.integration

COLUMNS = {
    "taskId": "task_id",
    "helperId": "helper_id",
    "finalResult": "final_result",
    "aiResult": "ai_result",
    "correctionReason": "correction_reason",
    "photoUrl": "photo_url",
    "modelVersion": "model_version",
}
AT_MOST = {COLUMNS[name]: "가" * length.at_most for name, length in LENGTHS.items()}
AT_LEAST = {COLUMNS[name]: "가" * length.at_least for name, length in LENGTHS.items()}
BEYOND = {
    **{f"{column} is longer": {column: text + "가"} for column, text in AT_MOST.items()},
    **{f"{column} is shorter": {column: text[1:]} for column, text in AT_LEAST.items() if text},
    "before the first day": {"confirmed_at": EARLIEST.replace(year=2019)},
    "unknown fields are larger": {"extra": {"x": "x" * (MAX_EXTRA_BYTES - 8)}},
}


def test_every_text_has_bounds():
    # `traceparent` comes beside the event, and has the one form of 55 characters or is none.
    ours = {"key", "extra", "traceparent"}
    texts = {field.name for field in fields(TaskConfirmedEvent) if "str" in str(field.type)} - ours
    assert set(COLUMNS) == set(LENGTHS) and set(COLUMNS.values()) == texts
    assert all(len(label) <= LENGTHS["finalResult"].at_most for label in LABELS)


def test_what_reaches_every_bound_is_stored(services):
    largest = an_event("largest", **AT_MOST, confirmed_at=EARLIEST, extra={"x": "x" * (MAX_EXTRA_BYTES - 9)})
    assert stored_bytes(largest.extra) == MAX_EXTRA_BYTES
    events = [largest, an_event("smallest", **AT_LEAST), an_event("none", correction_reason=None, model_version=None)]
    assert ConfirmationTable(services.mlops).store(events).new == 3


@pytest.mark.parametrize("changes", BEYOND.values(), ids=BEYOND)
def test_what_is_beyond_one_bound_the_table_refuses_too(running_services, changes):
    with pytest.raises(psycopg2.errors.CheckViolation):
        ConfirmationTable(running_services.mlops).store([an_event("beyond", **changes)])


@settings(max_examples=150)
@given(extra=st.dictionaries(st.text(), ANY_JSON, max_size=5))
def test_the_size_of_unknown_fields_is_counted_as_postgresql_writes_them(running_services, extra):
    with suppress(InvalidEvent):
        demand_storable(extra)
        demand_the_size(running_services, extra)


def demand_the_size(running_services, extra):
    with running_services.mlops.transaction() as cursor:
        cursor.execute("SELECT octet_length(%s::jsonb::text)", (json.dumps(extra),))
        (size,) = cursor.fetchone()
    # PostgreSQL knows no -0.0, whose sign is counted for nothing.
    assert size <= stored_bytes(extra) <= size + json.dumps(extra).count("-0.0")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, ServiceUnavailable) for code in ("08006", "25006", "28000", "40P01", "42501", "53100", "55P03")),
        ("57014", ServiceTooSlow),
        *((code, ServiceUnavailable) for code in ("57P01", "58030", "XX001", "XX002")),
        *((code, psycopg2.Error) for code in ("22003", "22P05", "23505", "23514", "54000", "P0001", "XX000")),
    ],
)
def test_whether_the_database_is_away_is_told_by_the_class_of_its_error(running_services, code, kind):
    with pytest.raises(kind, match="as asked") as told, running_services.mlops.transaction() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{code}'; END $$")
    # One statement that took too long says nothing of the database.
    assert ("is unavailable" in str(told.value)) == (kind is ServiceUnavailable)
