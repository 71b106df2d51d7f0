"""Comparing embeddings."""

import numpy as np
import pytest

from faceserve.faces.comparison import VectorComparisonEngine

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
