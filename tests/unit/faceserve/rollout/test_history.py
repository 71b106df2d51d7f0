"""What served here, and which way the last change went."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ("abcdefghija", "bcdefghija"),
        ("abcdefghijab", "cdefghijab"),
        ("abcdefghijak", "cdefghijak"),
        ("abaaaaaaaaaa", "ba"),
        ("abacdefghijk", "acdefghijk"),
        ("abcbdefghijk", "abdefghijk"),
        ("g" + "ab" * 12, "gab"),
        ("g" + "abcb" * 12, "gacb"),
    ],
)
def test_ten_versions_are_remembered_each_once_and_forgotten_is_first_what_one_went_back_from(versions, kept):
    assert "".join(one.version for one in reversed(served(*versions).versions)) == kept


@given(st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=60))
def test_however_one_goes_to_and_fro_the_way_back_is_the_same_and_no_version_is_forgotten_early(versions):
    found, line, lately = History(), [], []
    for at, version in enumerate(versions):
        found = found.and_now(origin(version, float(at)))
        back = version in line
        if [version] != line[-1:]:
            went_back = back
        line = line[: line.index(version) + 1] if back else [*line, version]
        lately = [version, *(one for one in lately if one != version)]
    known = {one.version for one in found.versions}
    assert (len(known), known <= set(lately)) == (min(10, len(lately)), True)
    assert (found.versions[0].version, found.went_back) == (versions[-1], went_back)
    line = [one for one in line if one in known]
    assert (found.before.version if found.before else None) == (line[-2] if len(line) > 1 else None)
    assert len(found.entries) <= 12


def test_going_to_and_fro_between_two_versions_takes_no_room():
    found = served(*"ab" * 20)
    assert (names(found), found.went_back, found.before.version) == (["a", "b"], False, "a")
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
