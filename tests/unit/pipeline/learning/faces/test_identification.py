"""Looked for among many, a stranger is not named, whoever set the thresholds. All people here are generated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.bench.verdicts.face_rates import generated
from include.bench.verdicts.face_strangers import IDENTITY, named, served
from include.contract.identification import NOBODY, SIZES, threshold_among
from pipeline.domain.checks import Outcome
from pipeline.domain.faces.gate import FaceCheck, FaceGatePolicy
from pipeline.learning.faces.measuring import Faces, measure, sought, thresholds_of

POLICY = FaceGatePolicy()


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), people=st.sampled_from([60, 150, 200]), enrolled=st.sampled_from([50, 300, 2000]))
def test_strangers_are_not_named_however_many_are_enrolled_and_whoever_set_the_threshold(seed, people, enrolled):
    model = served(people, seed=seed)
    among = threshold_among(enrolled, model.identification, model.threshold)
    found = named(enrolled, among, strangers=300, seed=5000 + seed)
    # Of 300 strangers 1 % is three people.
    assert found.strangers <= 2 * POLICY.fpir
    assert found.found > 0.2, "the right people are found all the same"


def test_by_the_threshold_for_one_person_strangers_are_named_where_many_are_enrolled():
    model = served(200, seed=1)
    assert named(2000, model.threshold, strangers=300).strangers > 0.4


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_of_few_people_too_there_is_a_threshold_for_every_number_that_rises_or_nobody_is_named(people, seed):
    calibrate = Faces(*generated(people, seed=seed))
    found = thresholds_of(IDENTITY, calibrate, POLICY, 0.3, 1e-2)
    sizes, among = zip(*found, strict=True)
    assert sizes == SIZES[: len(sizes)] and list(among) == sorted(among) and among[0] >= 0.3 and among[-1] <= 1


@pytest.mark.parametrize(("people", "expected"), [(0, 0.4), (1, 0.4), (2, 0.5), (10, 0.5), (11, NOBODY)])
def test_the_threshold_is_that_of_the_next_larger_number_and_above_all_nobody_is_named(people, expected):
    assert threshold_among(people, [(1, 0.4), (10, 0.5)], 0.3) == expected
    assert threshold_among(people, (), 0.3) == 0.3, "a model of before says one for all"


def judged(model, test, gallery):
    found = measure(model, test, gallery, None, replace(POLICY, min_people=10))
    return next(check for check in POLICY.judge(found) if check.name == FaceCheck.FPIR), found


def test_a_model_that_would_name_strangers_among_many_is_refused_and_what_it_costs_is_said():
    test, gallery = Faces(*generated(300, seed=2)), Faces(*generated(300, seed=2, photos=1))
    gallery = Faces(test.base[::4], test.identities[::4])
    model = served(200, seed=1)
    good, _ = judged(model, test, gallery)
    assert good.outcome is Outcome.PASSED and "are found (TPIR)" in good.reason and good.low <= good.value <= good.high
    before, _ = judged(replace(model, identification=()), test, gallery)
    assert before.outcome is Outcome.FAILED and before.value > 0.05


def test_who_is_sought_is_counted_once_and_never_found_by_the_very_photo_that_is_enrolled():
    test = Faces(*generated(12, seed=3))
    gallery = Faces(test.base[::4], test.identities[::4])
    open_ = replace(served(60, seed=1), threshold=-1.0, identification=())
    found = sought(open_, test, gallery)
    assert (found.others, set(found.photos), set(found.mated), found.fpir.share) == (11, {4}, {3}, 1.0)
    vectors = test.base.reshape(12, 4, -1)
    best = np.einsum("npw,gw->npg", vectors, gallery.base).argmax(2) == np.arange(12)[:, None]
    assert sum(found.found) == best[:, 1:].sum()
