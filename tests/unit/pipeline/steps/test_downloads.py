"""Several transfers at once: in order, few at a time, and a fault is told where it happened."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.steps.downloads import AT_ONCE, several_at_once


@given(st.lists(st.integers(), max_size=40))
def test_results_come_in_the_order_of_the_items(items):
    assert list(several_at_once(str, items)) == [str(item) for item in items]


def test_as_many_as_are_meant_to_are_under_way_together():
    everybody = threading.Barrier(AT_ONCE, timeout=60)
    assert list(several_at_once(lambda item: everybody.wait() >= 0, range(AT_ONCE))) == [True] * AT_ONCE


def test_a_fault_is_raised_at_its_item_after_those_before_it():
    def transfer(item):
        if item == 11:
            raise OSError("photo 11 is gone")
        return item

    came = []
    with pytest.raises(OSError, match="photo 11"):
        for found in several_at_once(transfer, range(40)):
            came.append(found)
    assert came == list(range(11))


def test_no_more_than_asked_for_are_fetched_ahead():
    taken = []
    found = several_at_once(str, (taken.append(number) or number for number in range(100)))
    next(found)
    assert len(taken) == AT_ONCE
    found.close()
