"""What gives way to requests is done all the same, however busy the machine is."""

import os
import threading
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceserve.machine import priority
from faceserve.machine.priority import aside, each_aside

LONG = 600.0


@pytest.mark.usefixtures("lowest_priority")
def test_work_is_done_at_the_lowest_priority_and_its_caller_keeps_his_own():
    before = os.sched_getscheduler(0)
    assert aside(lambda: os.sched_getscheduler(0), LONG) == os.SCHED_IDLE
    assert os.sched_getscheduler(0) == before


def test_what_work_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        aside(lambda: 1 / 0, LONG)


def test_where_there_is_no_processor_left_for_it_it_is_done_at_the_callers_priority(caplog):
    """As on a machine that is full of other programs' work: the thread of the lowest priority never gets its turn."""
    starved, caller, done = threading.Event(), threading.get_ident(), []

    def work():
        if threading.get_ident() != caller:
            starved.wait(LONG)
        done.append(threading.get_ident())
        return len(done)

    assert aside(work, 0.05) == 1
    assert done == [caller]
    assert "other programs keep the processor" in caplog.text
    starved.set()


@pytest.mark.usefixtures("lowest_priority")
def test_who_has_the_lowest_priority_himself_does_it_himself_once():
    """As the process in which a candidate is tried out: a thread of its own would be no slower and no faster."""
    done = []

    def vet():
        priority.lower()
        aside(lambda: done.append(threading.get_ident()), 0.0)
        done.append(threading.get_ident())

    child = threading.Thread(target=vet)
    child.start()
    child.join(LONG)
    assert len(done) == 2 and len(set(done)) == 1


@given(starved_at=st.integers(0, 4), count=st.integers(1, 5))
@settings(max_examples=10)
def test_each_is_waited_for_anew_and_none_is_begun_that_nobody_waits_for(starved_at, count):
    caller, go_on, threads, by = threading.get_ident(), threading.Event(), set(), []

    def work(number):
        if threading.get_ident() != caller:
            threads.add(threading.current_thread())
            if number == starved_at:
                go_on.wait(LONG)
        by.append((number, threading.get_ident() == caller))
        return number

    if starved_at < count:
        assert each_aside([partial(work, n) for n in range(count)], 0.05) == list(range(count))
        go_on.set()
        for thread in list(threads):
            thread.join(LONG)
        done_aside = {number for number, callers in by if not callers}
        assert done_aside <= set(range(starved_at + 1))
        assert {number for number, callers in by if callers} >= set(range(starved_at, count))
    else:
        assert each_aside([partial(work, n) for n in range(count)], LONG) == list(range(count))
        assert {callers for _, callers in by} == {False}
