"""Comparing embeddings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceserve.faces.comparison import Match, VectorComparisonEngine

EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def test_the_nearest_identity_comes_first():
    engine = VectorComparisonEngine().joined(["kim", "lee"], [np.stack([EAST, NORTH])])
    found = engine.nearest(np.array([0.6, 0.8], np.float32), count=2)
    assert [match.identity for match in found] == ["lee", "kim"]
    assert found[0].similarity == pytest.approx(0.8)


def test_enrolling_again_replaces_the_vector():
    engine = VectorComparisonEngine().joined(["kim"], [EAST[None]]).joined(["kim"], [NORTH[None]])
    assert len(engine) == 1
    assert engine.nearest(NORTH)[0].similarity == pytest.approx(1.0)


def test_enrolling_leaves_the_earlier_gallery_as_it_was():
    before = VectorComparisonEngine().joined(["kim"], [EAST[None]])
    before.joined(["lee"], [NORTH[None]])
    assert len(before) == 1


def test_an_empty_gallery_matches_nobody():
    assert VectorComparisonEngine().nearest(EAST) == []


def test_vectors_of_another_width_are_refused():
    with pytest.raises(ValueError, match="3 numbers, the gallery 2"):
        VectorComparisonEngine().joined(["kim"], [EAST[None]]).joined(["lee"], [np.zeros((1, 3), np.float32)])


def test_joining_nobody_or_leaving_out_a_stranger_changes_nothing():
    before = VectorComparisonEngine().joined(["kim"], [EAST[None]])
    assert before.joined([], []).nearest(EAST) == before.without({"lee"}).nearest(EAST) == before.nearest(EAST)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 40))
def test_the_first_of_a_gallery_are_those_of_all_sorted_and_who_is_alike_comes_as_enrolled(steps, count):
    turns = np.array(steps, np.float32)
    vectors = np.stack([np.cos(turns), np.sin(turns)], 1)
    engine = VectorComparisonEngine([f"p{n}" for n in range(len(steps))], vectors)
    found = engine.nearest(EAST, count)
    assert [m.identity for m in found] == [f"p{n}" for n in np.argsort(turns, kind="stable")[:count]]


def test_one_person_is_compared_with_alone_and_a_stranger_is_nobody():
    engine = VectorComparisonEngine(["kim", "lee"], np.stack([EAST, NORTH]))
    assert engine.with_one("lee", NORTH) == [Match("lee", 1.0)]
    assert engine.with_one("lee", EAST) == [Match("lee", 0.0)]
    assert engine.with_one("park", EAST) == VectorComparisonEngine().with_one("kim", EAST) == []
    assert engine.without({"kim"}).with_one("kim", EAST) == []
