"""A row of the Helper database that no dataset can use is set aside, with a reason; its neighbours are not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.event_bounds import EARLIEST
from pipeline.domain.events import MAX_CLOCK_SKEW
from pipeline.domain.rows import oddity

LABELS = ("양호", "불량")
NOW = datetime(2025, 3, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
SOUND = ConfirmedTask("TASK-1", "s3://tasks/TASK-1.jpg", "양호", "불량", True, "얼룩", NOW)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"task_id": "1"},
        {"task_id": "1" * 512},
        {"final_result": "양호"},
        {"confirmed_at": EARLIEST},
        {"confirmed_at": NOW + MAX_CLOCK_SKEW},
    ],
)
def test_a_row_within_its_bounds_is_not_odd(change):
    assert oddity(replace(SOUND, **change), LABELS, NOW) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fault": "label is bytes"}, "label is bytes"),
        ({"task_id": ""}, "a task id of 0 characters, 1 to 512 are possible"),
        ({"task_id": "1" * 513}, "a task id of 513 characters, 1 to 512 are possible"),
        ({"final_result": "보류"}, "final_result '보류' is not one of 양호, 불량"),
        ({"final_result": "x" * 100}, f"final_result '{'x' * 40}' is not one of 양호, 불량"),
        ({"confirmed_at": EARLIEST - MOMENT}, "confirmed_at 2019-12-31T23:59:59.999999+00:00 is before 2020-01-01"),
        (
            {"confirmed_at": NOW + MAX_CLOCK_SKEW + MOMENT},
            "confirmed_at 2025-03-01T00:05:00.000001+00:00 is in the future",
        ),
    ],
)
def test_a_row_beyond_them_says_what_is_odd(change, reason):
    assert oddity(replace(SOUND, **change), LABELS, NOW) == reason
