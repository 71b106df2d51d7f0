"""The fake and the table of the monitor's looks at face champions, through the same cases."""

from datetime import timedelta

import pytest

from pipeline.adapters.face_reading_table import FaceReadingTable
from pipeline.domain.faces.looks import FaceLook, SeenRate
from pipeline.domain.faces.watching import FaceState
from pipeline.domain.live_accuracy import Period
from tests.builders import NOW
from tests.fakes.faces import FakeFaceLooks

MINUTE = timedelta(minutes=1)
RATES = SeenRate(3, 100, 40, 0.01, 0.08), SeenRate(0, 0, 0, 0.0, 1.0)
OF_SOUGHT = SeenRate(2, 50, 20, 0.01, 0.14), SeenRate(1, 50, 20, 0.0, 0.1)


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.integration)])
def looks(request):
    if request.param == "fake":
        return FakeFaceLooks()
    return FaceReadingTable(request.getfixturevalue("services").mlops)


def a_look(minute, state=FaceState.OK, version="v1.0.0"):
    return FaceLook(version, NOW + minute * MINUTE, state, "rightly", *RATES, "nothing was done", *OF_SOUGHT)


def test_the_newest_look_is_the_last_whatever_was_kept_last(looks):
    assert looks.last() is None
    for look in (later := a_look(5, FaceState.FAILING), a_look(1)):
        looks.record(look)
    assert looks.last() == later


def test_a_look_comes_back_as_it_was_kept(looks):
    for minute, state in enumerate(FaceState):
        looks.record(a_look(minute, state))
        assert looks.last() == a_look(minute, state)


def test_of_many_looks_the_last_of_each_span_is_drawn(looks):
    kept = [a_look(minute) for minute in (0, 1, 4, 5, 9, 10)]
    for look in kept:
        looks.record(look)
    period = Period(NOW, NOW + 10 * MINUTE)
    assert list(looks.within(period, most=2)) == [kept[2], kept[4], kept[5]]
    assert list(looks.within(Period(NOW, NOW + 4 * MINUTE), most=100)) == kept[1:3]


def test_what_is_past_its_time_is_forgotten_once(looks):
    for minute in range(4):
        looks.record(a_look(minute))
    before = NOW + 2 * MINUTE
    assert [looks.forget(before=before, dry_run=dry) for dry in (True, False, False)] == [2, 2, 0]
    assert len(looks.within(Period(NOW - MINUTE, NOW + 9 * MINUTE), most=100)) == 2
