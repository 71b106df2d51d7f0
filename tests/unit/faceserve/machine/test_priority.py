"""What gives way to requests is done all the same, however busy the machine is."""

import os
import threading

import pytest

from faceserve.machine.priority import aside

LONG = 600.0


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
