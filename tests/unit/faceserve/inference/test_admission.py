"""Requests are let in or refused at once."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceserve.errors import Overloaded
from faceserve.inference.admission import Admission


def test_beyond_the_limit_a_request_is_refused_at_once():
    requests = Admission(2)
    with requests.admitted(), requests.admitted(), pytest.raises(Overloaded, match="2 requests"), requests.admitted():
        pytest.fail("the third was let in")
    with requests.admitted():
        """There is room again."""


def test_so_many_bytes_at_once_and_no_more():
    requests = Admission(10, max_bytes=100)
    with requests.admitted(60):
        with pytest.raises(Overloaded), requests.admitted(41):
            pytest.fail("it was let in")
        with requests.admitted(40):
            """There is just enough room."""
    with requests.admitted(100):
        """There is room again."""


def test_what_arrives_counts_as_it_comes_and_takes_no_place():
    requests = Admission(1, max_bytes=100)
    with requests.arriving() as one, requests.arriving() as other, requests.admitted(10):
        one.add(60)
        other.add(30)
        with pytest.raises(Overloaded):
            other.add(1)
        assert (one.size_bytes, other.size_bytes) == (60, 30)
    with requests.admitted(100):
        """There is room again."""


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=30))
def test_however_pieces_come_no_more_is_held_than_may_be_and_in_the_end_nothing(pieces):
    requests = Admission(1, max_bytes=100)
    with ExitStack() as over:
        arriving = [over.enter_context(requests.arriving()) for _ in range(5)]
        for number, size in pieces:
            held = sum(one.size_bytes for one in arriving)
            try:
                arriving[number].add(size)
            except Overloaded:
                assert held + size > 100
            else:
                assert held + size <= 100
    with requests.admitted(100):
        """There is room again."""
