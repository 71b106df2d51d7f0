"""What served here, and which way the last change went."""

import pytest

from faceserve.rollout.history import History
from tests.unit.faceserve.rollout.world import origin


def served(*versions):
    """At 1, 2, 3 … seconds since 1970."""
    found = History()
    for at, version in enumerate(versions, start=1):
        found = found.and_now(origin(version, float(at)))
    return found


def names(history):
    return [one.version for one in history.entries]


@pytest.mark.parametrize(
    ("versions", "went_back"),
    [
        ("", False),
        ("1", False),
        ("12", False),
        ("121", True),
        ("1212", False),
        ("12121", True),
        ("1231", True),
        ("1232", True),
        ("12321", True),
        ("12313", False),
        ("123132", False),
        ("1213", False),
    ],
)
def test_going_back_ends_what_came_after(versions, went_back):
    assert served(*versions).went_back is went_back


def test_ten_changes_are_remembered_newest_last():
    assert names(served(*"abcdefghijkl")) == list("cdefghijkl")
    assert names(served(*"abcdefghij")) == list("abcdefghij")


def test_going_back_to_the_oldest_still_shows_that_it_served_before():
    found = served(*"abcdefghij", "a")
    assert names(found) == [*"acdefghij", "a"]
    assert found.went_back


def test_what_serves_already_is_noted_once_with_its_latest_time():
    found = served("a", "b", "b")
    assert [(one.version, one.activated_at) for one in found.entries] == [("a", 1.0), ("b", 3.0)]


def test_the_newest_entry_is_found_by_version_or_without_one():
    found = served("a", "b", "a", "c")
    assert found.last() == origin("c", 4.0)
    assert found.last("a") == origin("a", 3.0)
    assert found.last(but="c") == origin("a", 3.0)
    assert found.last("c", but="c") is None
    assert found.last("d") is None
    assert History().last() is None
