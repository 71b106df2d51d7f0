"""The month that `make bench-scale` replays, and the page it writes."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from include.bench.scale.people import DAYS, SLOT, SLOTS_A_DAY, Arrivals, Month, is_night
from include.bench.scale.timing import Times
from pipeline.domain.events import parse_task_confirmed

BEGINS = datetime(2026, 10, 1, tzinfo=UTC)
MONTH = Month(12_000, BEGINS)


@pytest.fixture(scope="module")
def lived():
    return {end: MONTH.bodies(end, "v1.0.0", 0.05) for end in MONTH.ends_of_slots()}


def tasks(bodies):
    return [json.loads(body)["taskId"] for body in bodies]


def test_a_month_has_as_many_confirmations_as_it_was_asked_for_and_a_few_come_twice(lived):
    told = [task for bodies in lived.values() for task in tasks(bodies)]
    assert len(set(told)) == 12_000 < len(told) < 12_200


def test_nobody_works_on_sundays_or_at_night_and_one_hour_is_the_busiest(lived):
    seoul = timedelta(hours=9)
    by_hour = Counter()
    for end, bodies in lived.items():
        began = end - SLOT + seoul
        by_hour[began.hour] += len(bodies)
        assert not bodies or (began.weekday() != 6 and 9 <= began.hour < 19)
    mean = sum(by_hour.values()) / 10
    assert max(by_hour.values()) == by_hour[17] and 3.5 < by_hour[17] / mean < 4


def test_all_that_arrives_can_be_used_and_as_much_is_wrong_as_was_asked_for(lived):
    end, bodies = max(lived.items(), key=lambda one: len(one[1]))
    events = [parse_task_confirmed(body, now=end, photo_buckets=frozenset({"tasks"})) for body in bodies]
    assert {event.model_version for event in events} == {"v1.0.0"}
    assert all(end - SLOT <= event.confirmed_at <= end for event in events)
    wrong = MONTH.bodies(end, "v1.0.0", 0.9)
    assert sum(b"correctionReason" in body for body in wrong) > 0.8 * len(wrong)
    assert len({event.helper_id for event in events}) > 50


def test_the_same_half_hour_is_the_same_again(lived):
    end = next(end for end, bodies in lived.items() if bodies)
    assert MONTH.bodies(end, "v1.0.0", 0.05) == lived[end]


def test_a_smaller_month_has_the_same_hours(lived):
    small = Month(2000, BEGINS)
    assert {end for end in small.ends_of_slots() if small.bodies(end, "v1.0.0", 0)} == {
        end for end, bodies in lived.items() if bodies
    }


def test_whoever_retrains_at_night_looks_once_a_night():
    assert sum(is_night(end) for end in MONTH.ends_of_slots()) == DAYS
    assert len(list(MONTH.ends_of_slots())) == DAYS * SLOTS_A_DAY


def test_what_arrived_comes_in_batches_and_nothing_is_lost():
    arrivals = Arrivals()
    arrivals.bodies = [b"%d" % n for n in range(7)]
    batches = list(arrivals.batches(max_messages=7, batch_size=3))
    assert [len(batch) for batch in batches] == [3, 3, 1] and arrivals.depth() == 7
    assert [message.body for batch in batches for message in batch] == arrivals.bodies
    assert len({message.tag for batch in batches for message in batch}) == 7


def test_the_slowest_question_is_told_first():
    times = Times()
    for name in ("fast", "slow", "fast"):
        with times.of(name):
            sum(range(200_000 if name == "slow" else 1))
    assert times.slowest_first() == ["slow", "fast"]
    assert times.times("fast") == 2 and times.half("fast") <= times.longest("fast") < times.longest("slow")
