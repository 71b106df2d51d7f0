"""Every pair of photos, whoever comes first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.bench.verdicts.face_rates import FAR, coverage, generated, truth
from pipeline.domain.faces.rates import decided, far_interval, tar_interval, threshold_for
from pipeline.learning.faces import scores
from pipeline.learning.faces.scores import trials_of


def test_all_pairs_are_scored_once():
    vectors, names = generated(7, seed=3, photos=3)
    trials = trials_of(vectors, names, listed=10_000)
    cosines = vectors @ vectors.T
    expected = sorted(
        (float(cosines[i, j]) for i in range(21) for j in range(i + 1, 21) if names[i] != names[j]), reverse=True
    )
    assert [pair.score for pair in trials.impostors] == pytest.approx(expected, abs=1e-6)
    assert len(trials.impostors) == trials.impostor_pairs([1] * 7)
    assert [len(mates) for mates in trials.mates] == [3] * 7
    assert trials.mates[2] == pytest.approx([cosines[6, 7], cosines[6, 8], cosines[7, 8]], abs=1e-6) or sorted(
        trials.mates[2]
    ) == pytest.approx(sorted([cosines[6, 7], cosines[6, 8], cosines[7, 8]]), abs=1e-6)


def test_the_highest_are_listed_whatever_the_size_of_a_block(monkeypatch):
    vectors, names = generated(40, seed=4)
    whole = trials_of(vectors, names, listed=200)
    monkeypatch.setattr(scores, "_ROWS", 7)
    assert [pair.score for pair in trials_of(vectors, names, listed=200).impostors] == pytest.approx(
        [pair.score for pair in whole.impostors], abs=1e-6
    )


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_the_order_of_people_and_photos_changes_nothing(random):
    vectors, names = generated(12, seed=5)
    order = random.sample(range(len(names)), len(names))
    trials = [
        trials_of(vectors, names, listed=300),
        trials_of(vectors[order], [names[i] for i in order], listed=300),
    ]
    thresholds = [threshold_for(one, 0.05) for one in trials]
    assert thresholds[0] == thresholds[1]
    one, other = (decided(t, thresholds[0]) for t in trials)
    assert tar_interval(one) == tar_interval(other)
    assert far_interval(one) == far_interval(other)


def test_of_people_who_were_generated_the_interval_holds_the_truth():
    """The study has more draws of more sizes; these are always the same."""
    found = coverage(200, truth(400), 20)
    assert min(found.tar, found.far) >= 0.9
    assert found.tar_of_pairs < found.tar
    assert found.reached_high <= 2 * FAR


def test_vectors_are_not_changed():
    vectors, names = generated(5, seed=6)
    before = vectors.copy()
    trials_of(vectors, names, listed=10)
    assert np.array_equal(vectors, before)
