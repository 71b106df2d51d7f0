"""One load at a time: what is urgent first, then in the order of arrival."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceserve.errors import Overloaded, TooLate
from faceserve.rollout.turns import Turns
from tests.waiting import until


class Line:
    """Callers that came one after the other while somebody loads; `served` are their numbers, in order."""

    def __init__(self, pool, urgent, leaves=frozenset()):
        self.turns, self.served, self.here, self._alone = Turns(), [], threading.Event(), threading.Lock()
        self.here.set()
        with self.turns.taken():
            self.calls = []
            for number, pressing in enumerate(urgent):
                self.calls.append(pool.submit(self._call, number, pressing, number in leaves))
                until(lambda number=number: len(self.turns._waiting) == number + 1, "it to wait")
            self.pressing = self.turns.pressing
            self.here.clear()
            until(lambda: len(self.turns._waiting) == len(urgent) - len(leaves), "those that go to have gone")
        self.ended = [type(one.exception(60)) for one in self.calls]

    def _call(self, number, urgent, leaves):
        with self.turns.taken(urgent=urgent, wanted=self.here.is_set if leaves else lambda: True):
            assert self._alone.acquire(blocking=False), "two load at once"
            self.served.append(number)
            self._alone.release()


@given(st.lists(st.booleans(), max_size=6), st.data())
def test_what_is_urgent_comes_first_and_of_each_kind_who_came_first(urgent, data):
    leaves = data.draw(st.sets(st.sampled_from(range(len(urgent))), max_size=2)) if urgent else set()
    with ThreadPoolExecutor(8) as pool:
        line = Line(pool, urgent, leaves)
    stays = [number for number in range(len(urgent)) if number not in leaves]
    assert line.served == sorted(stays, key=lambda number: (not urgent[number], number))
    assert [ended is TooLate for ended in line.ended] == [number in leaves for number in range(len(urgent))]
    assert line.pressing == any(urgent)


def test_a_turn_that_fails_is_over():
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.taken():
        raise ZeroDivisionError
    with turns.taken():
        assert not turns.pressing


def test_a_load_has_a_reason_as_long_as_somebody_wants_it_and_nothing_urgent_waits():
    turns = Turns()
    turns.demand_reason("v1", lambda: True)
    with pytest.raises(TooLate, match="nobody waits for v1 any more"):
        turns.demand_reason("v1", lambda: False)
    with ThreadPoolExecutor(1) as pool:
        with turns.taken():
            waiting = pool.submit(turns.taken(urgent=True).__enter__)
            until(lambda: turns.pressing, "it to wait")
            with pytest.raises(Overloaded, match="a way back is loaded before v1"):
                turns.demand_reason("v1", lambda: True)
            with pytest.raises(Overloaded):
                # What is fetched on for a caller that has gone ends for a way back, too.
                turns.demand_reason("v1", lambda: False)
        waiting.result(60)
