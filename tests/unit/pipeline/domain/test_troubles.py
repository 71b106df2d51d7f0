"""When something that does not work is news, and when it is over: to the second, and by the kind of its reason."""

from datetime import timedelta

import pytest

from pipeline.domain.troubles import PATIENCE, QUIET, REMIND_AFTER, Place, Trouble, in_short, kind_of
from tests.builders import NOW

DRAIN = Place("task_confirmed_intake", "drain")
A_SECOND = timedelta(seconds=1)


def trouble(**changes):
    return Trouble(**{"place": DRAIN, "since": NOW, "failed_at": NOW, **changes})


def test_a_reason_is_cut_where_the_database_would_and_has_no_nul():
    assert in_short("x" * 1001) == "x" * 1000
    assert in_short("a\x00b") == "a b"


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("s3://tasks/a.jpg is gone", "s3://tasks/b.jpg is gone"),
        ("at 04:17:59 it fell silent", "at 23:01 it fell silent"),
        ("waited 1.5 s", "waited 30.25 s"),
        ("request 0x7f3a01 failed", "request 9c1e22ab failed"),
    ],
)
def test_what_differs_each_time_makes_no_other_kind(one, another):
    assert kind_of(one) == kind_of(another)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("replica-1 is away", "replica-2 is away"),
        ("version v1.2.0 is bad", "version v1.3.0 is bad"),
        ("3 photos are missing", "4 photos are missing"),
        ("facade failed", "bad face failed"),
    ],
)
def test_names_versions_and_small_counts_do(one, another):
    assert kind_of(one) != kind_of(another)


def test_a_kind_is_news_again_after_half_a_day_and_not_a_second_sooner():
    told = trouble(told={"away": NOW})
    assert not told.is_news("away", NOW + REMIND_AFTER - A_SECOND)
    assert told.is_news("away", NOW + REMIND_AFTER)


def test_of_ever_other_kinds_five_are_news_in_half_a_day():
    said = trouble()
    for number in range(7):
        said = said.failed(0, f"kind {number}", NOW)
    assert list(said.told) == [f"kind {number}" for number in range(5)]
    assert said.failed(0, "kind 6", NOW + REMIND_AFTER).told == {"kind 6": NOW + REMIND_AFTER}


def test_news_has_one_name_until_people_were_told_and_another_for_another_kind():
    first, told = trouble(), trouble(told={"away": NOW})
    assert first.id_of_news("away") == trouble(failed_at=NOW + A_SECOND).id_of_news("away")
    assert len({first.id_of_news("away"), first.id_of_news("full"), told.id_of_news("away")}) == 3
    assert first.id_of_news("away").startswith(f"task_confirmed_intake.drain:{NOW.isoformat()}:first:")


def test_it_works_again_once_every_copy_that_failed_did():
    both = trouble(parts=frozenset({1, 2}))
    assert both.worked(3, NOW) is None
    left = both.worked(1, NOW)
    assert (left.parts, left.worked_at) == ({2}, None)
    whole = left.worked(2, NOW + A_SECOND)
    assert (whole.parts, whole.worked_at) == (frozenset(), NOW + A_SECOND)
    assert whole.worked(2, NOW + QUIET) is None
    assert whole.failed(2, "away", NOW + QUIET).worked_at is None


def test_a_copy_that_did_not_fail_for_half_a_day_no_longer_counts():
    one = trouble(parts=frozenset({1}))
    assert one.worked(0, NOW + REMIND_AFTER - A_SECOND) is None
    assert one.worked(0, NOW + REMIND_AFTER).worked_at == NOW + REMIND_AFTER


@pytest.mark.parametrize(
    ("has_come", "seconds", "of"),
    [
        ("lasts", PATIENCE, trouble()),
        ("is_over", QUIET, trouble(worked_at=NOW)),
        ("is_stale", REMIND_AFTER, trouble(place=Place("model_rollback", "roll_back"))),
    ],
)
def test_each_time_has_come_at_its_second(has_come, seconds, of):
    assert not getattr(of, has_come)(NOW + seconds - A_SECOND)
    assert getattr(of, has_come)(NOW + seconds)


def test_only_a_step_that_runs_on_demand_goes_stale_and_what_never_worked_is_not_over():
    late = NOW + timedelta(days=9)
    assert not trouble().is_stale(late)
    assert not trouble(place=Place("model_rollback")).is_stale(late)
    assert not trouble().is_over(late)


def test_it_says_where_since_when_and_whether_it_works_just_now():
    since = f"{NOW:%Y-%m-%d %H:%M} UTC"
    assert str(trouble()) == f"task_confirmed_intake fails at drain since {since}"
    works = trouble(worked_at=NOW + timedelta(hours=1))
    assert str(works) == f"task_confirmed_intake fails at drain since {since}, but not since {works.worked_at:%H:%M}"
    assert str(trouble(place=Place("model_rollback"))) == f"model_rollback is paused since {since}"
