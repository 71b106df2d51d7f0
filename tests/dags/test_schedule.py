"""There is one rule of what a schedule may be: whatever the settings take, Airflow can follow."""

import pendulum
import pytest
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.domain.bounds import Cron

CRON, SINCE = Cron(), TimeRestriction(earliest=pendulum.datetime(2026, 1, 1), latest=None, catchup=True)


def numbers(first, last):
    """One field of a cron expression, more often than not with the awkward numbers at its ends."""
    number = st.sampled_from([first, last]) | st.integers(first, last)
    one = st.one_of(
        st.just("*"),
        number.map(str),
        st.tuples(number, number).map(lambda ends: f"{ends[0]}-{ends[1]}"),
    )
    stepped = st.tuples(one, st.just("") | st.integers(1, 99).map(lambda step: f"/{step}")).map("".join)
    return st.lists(stepped, min_size=1, max_size=3).map(",".join)


@given(st.tuples(numbers(0, 59), numbers(0, 23), numbers(1, 31), numbers(1, 12), numbers(0, 7)).map(" ".join))
@example("0 0 31 2 *")
@example("0 0 31 4,6,9,11 *")
@example("0 0 29 2 *")
@example("0 0 31 2 1")
def test_what_a_setting_may_say_airflow_can_follow(expression):
    if CRON.allows(expression):
        timetable = CronTriggerTimetable(expression, timezone="UTC")
        timetable.validate()
        assert timetable.next_dagrun_info(last_automated_data_interval=None, restriction=SINCE) is not None


@pytest.mark.parametrize("expression", ["0 0 31 2 *", "0 0 30,31 2 *", "0 0 31 2-2 *", "0 0 31 4/5 *", "@hourly", " "])
def test_what_never_happens_or_is_no_cron_expression_is_refused(expression):
    assert not CRON.allows(expression)


@pytest.mark.parametrize("expression", ["0 0 29 2 *", "0 0 31 2 1", "0 0 30-1 2 *", "0 0 31 12-2 *", "0 0 */31 2 *"])
def test_what_happens_now_and_then_is_taken(expression):
    assert CRON.allows(expression)
