"""Requests are let in or refused at once."""

import pytest

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
