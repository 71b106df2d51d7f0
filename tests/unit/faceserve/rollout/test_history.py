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


@pytest.mark.parametrize(
    ("versions", "kept"),
    [
        ("abcdefghija", "acdefghija"),
        ("abcdefghijab", "adefghijab"),
        ("abaaaaaaaaaa", "aba"),
        ("abacdefghijk", "acdefghijk"),
        ("abcbdefghijk", "abdefghijk"),
    ],
)
def test_forgotten_is_first_what_one_went_back_from(versions, kept):
    assert "".join(names(served(*versions))) == kept


def test_going_to_and_fro_between_two_versions_stays_within_ten():
    found = served(*"ab" * 20)
    assert (len(found.entries), found.went_back, found.before.version) == (10, False, "a")
    assert found.and_now(origin("a")).went_back


@pytest.mark.parametrize(("versions", "before"), [("", None), ("a", None), ("ab", "a"), ("aba", None), ("abcb", "a")])
def test_the_way_back_is_what_served_before_on_the_line(versions, before):
    found = served(*versions).before
    assert (found.version if found else None) == before


def test_what_serves_already_is_noted_once_with_its_latest_time():
    found = served("a", "b", "b")
    assert [(one.version, one.activated_at) for one in found.entries] == [("a", 1.0), ("b", 3.0)]


def test_the_newest_entry_of_a_version_is_found():
    found = served("a", "b", "a", "c")
    assert (found.last("a"), found.last("c")) == (origin("a", 3.0), origin("c", 4.0))
    assert (found.last("d"), History().last("a")) == (None, None)
