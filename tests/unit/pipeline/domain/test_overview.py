"""Where a rollback can go, and why not there."""

import pytest

from pipeline.domain.overview import destinations
from tests.histories import a_history


def reachable(*acts, most=50):
    """Version and whether a rollback may go there, in the order people see them."""
    return [(one.version, one.why_not is None) for one in destinations(a_history(*acts), most=most)]


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        ((), []),
        (("promote v1.0.0",), []),
        (("promote v1.0.0", "promote v1.1.0"), [("v1.0.0", True)]),
        (("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0"), [("v1.1.0", True)]),
        (("promote v1.0.0", "promote v1.1.0", "promote v1.2.0"), [("v1.1.0", True), ("v1.0.0", True)]),
        (
            ("promote v1.0.0", "promote v1.1.0", "promote v1.2.0", "archive v1.0.0"),
            [("v1.1.0", True), ("v1.0.0", False)],
        ),
        (("promote v1.0.0", "try v1.1.0"), []),
    ],
)
def test_a_rollback_goes_to_what_served_and_is_at_hand_the_last_one_first(acts, expected):
    assert reachable(*acts) == expected


def test_what_is_archived_says_how_to_bring_it_back():
    history = a_history("promote v1.0.0", "promote v1.1.0", "archive v1.0.0")
    assert [one.why_not for one in destinations(history, most=9)] == ["v1.0.0 is archived: restore it before it serves"]


def test_of_a_long_history_the_latest_are_offered():
    acts = [f"promote v1.{n}.0" for n in range(30)]
    assert reachable(*acts, most=2) == [("v1.28.0", True), ("v1.27.0", True)]
