"""Which tasks are offered, hidden, shown twice: shares hold, and asking again draws the same."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from include.helper_service.sampling import Sampling
from include.helper_service.settings import Settings

IDS = [f"TASK-{number}" for number in range(2000)]
DRAWS = {
    "blind_share": Sampling.is_blind,
    "second_opinion_share": Sampling.wants_second_opinion,
    "review_share": lambda sampling, task_id: sampling.is_offered(task_id, None),
}


@pytest.mark.parametrize("share", DRAWS)
@pytest.mark.parametrize(("value", "least", "most"), [(0.0, 0, 0), (0.2, 320, 480), (1.0, 2000, 2000)])
def test_a_share_of_the_tasks_is_drawn_and_always_the_same(share, value, least, most):
    sampling = Sampling(**{share: value})
    drawn = [task for task in IDS if DRAWS[share](sampling, task)]
    assert least <= len(drawn) <= most
    assert drawn == [task for task in IDS if DRAWS[share](Sampling(**{share: value}), task)]


def test_draws_do_not_depend_on_each_other():
    sampling = Sampling(blind_share=0.5, second_opinion_share=0.5)
    both = [t for t in IDS if sampling.is_blind(t) and sampling.wants_second_opinion(t)]
    assert 400 < len(both) < 600


def test_a_branch_has_numbers_of_its_own():
    sampling = Sampling(review_share_of_branch={"B-7": 0.0}, daily_reviews=9, daily_reviews_of_branch={"B-7": 2})
    assert sampling.is_offered("TASK-1", "B-1") and not sampling.is_offered("TASK-1", "B-7")
    assert [sampling.most_a_day(branch) for branch in ("B-7", "B-1", None)] == [2, 9, 9]


def test_a_day_begins_at_midnight_where_the_branches_are():
    seoul = Sampling(zone=ZoneInfo("Asia/Seoul"))
    evening = datetime(2026, 5, 4, 14, 59, tzinfo=UTC)
    assert seoul.day_of(evening) == datetime(2026, 5, 3, 15, tzinfo=UTC)
    assert seoul.day_of(evening.replace(hour=15)) == datetime(2026, 5, 4, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HELPER_REVIEW_SHARE", "1.5"),
        ("HELPER_REVIEW_SHARE_OF_BRANCH", '{"B-1": -1}'),
        ("HELPER_DAILY_REVIEWS", "-1"),
        ("HELPER_DAILY_REVIEWS_OF_BRANCH", '{"B-1": "many"}'),
        ("HELPER_SECOND_OPINION_SHARE", "nan"),
        ("HELPER_UNDO_SECONDS", "61"),
        ("HELPER_TIME_ZONE", "Seoul"),
        ("HELPER_FACESERVE_TLS_CA", "/there/is/no/such.pem"),
    ],
)
def test_a_setting_out_of_its_bounds_is_refused(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError):
        Settings()
