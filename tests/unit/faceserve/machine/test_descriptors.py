"""Connections leave descriptors for everything else, however few or many there are."""

from hypothesis import example, given
from hypothesis import strategies as st

from faceserve.machine.descriptors import Connections


@example(1024)
@example(1 << 20)
@given(st.integers(64, 1 << 20))
def test_every_port_has_connections_and_all_together_leave_some_descriptors(descriptors):
    found = Connections.within(descriptors)
    assert min(found.inference, found.lifecycle, found.http, found.probes) >= 1
    assert descriptors - found.total >= min(256, descriptors // 2)


def test_where_there_are_many_no_port_gets_more_than_it_can_hold_in_memory():
    assert Connections.within(8192) == Connections.within(1 << 20) == Connections(4096, 512, 512, 64)
