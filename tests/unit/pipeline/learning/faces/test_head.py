"""A head is learned where it helps, and a bad one is refused. All people here are generated."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.domain.checks import Outcome
from pipeline.domain.faces.gate import FaceCheck, FaceGatePolicy
from pipeline.domain.faces.measured import Spread
from pipeline.learning.faces.head import Head, Impostors, apart, unit_length, whitening
from pipeline.learning.faces.margin import MarginTraining, Way, learn, retrained
from pipeline.learning.faces.measuring import (
    Faces,
    Served,
    measure,
    self_check,
    spread_of,
    tar_score,
    threshold_of,
    thresholds_of,
)

WIDTH, FAR = 48, 1e-2
POLICY = FaceGatePolicy(enough_people=10_000, min_dimensions=8)
IDENTITY = Head.identity(WIDTH)


def generated(people, seed, photos=4):
    """Photos of one person differ most in a few directions, the same of everybody: light, say, or a camera."""
    rng = np.random.default_rng(seed)
    light = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, 8)))[0].T
    own = rng.normal(size=(people, 1, WIDTH))
    seen = own + 2.6 * rng.normal(size=(people, photos, 8)) @ light + 0.4 * rng.normal(size=(people, photos, WIDTH))
    names = [f"{seed}-{number:04d}" for number in range(people) for _ in range(photos)]
    return Faces(seen.reshape(-1, WIDTH).astype(np.float32), names)


TRAIN, CALIBRATE, TEST = generated(150, 1), generated(100, 2), generated(100, 3)
PERSON = np.unique(TRAIN.identities, return_inverse=True)[1]
GALLERY = Faces(TEST.base[::4], TEST.identities[::4])


def lookalikes(people=40):
    """Strangers who differ from the person that they are taken for in a few directions alone, the same for all."""
    rng = np.random.default_rng(8)
    own = np.linalg.qr(np.random.default_rng(1).normal(size=(WIDTH, 6)))[0].T
    of = TRAIN.base[::4][:people]
    return Impostors((of + 2.0 * rng.normal(size=(people, 6)) @ own).astype(np.float32), np.arange(people))


TAKEN, WHITENED = lookalikes(), whitening(TRAIN.base, PERSON)


def random_head(seed=4, rank=WIDTH):
    rng = np.random.default_rng(seed)
    return Head((rng.normal(size=(WIDTH, rank)) @ rng.normal(size=(rank, WIDTH))).astype(np.float32))


def served(head, version="v1.0.0"):
    alone = threshold_of(head, CALIBRATE, FAR)
    return Served(version, head, alone, thresholds_of(head, CALIBRATE, POLICY, alone, FAR))


@cache
def champion():
    return served(IDENTITY)


def failed(head, champion=None):
    measured = measure(served(head), TEST, GALLERY, champion, POLICY)
    return {check.name for check in POLICY.judge(measured) if check.outcome is not Outcome.PASSED}


@settings(max_examples=30)
@given(arrays.arrays(np.float32, (7, WIDTH), elements=st.floats(-1e6, 1e6, width=32)))
def test_an_identity_head_answers_bit_for_bit_as_no_head(base):
    assert IDENTITY.project(base).tobytes() == unit_length(base + np.float32(0)).tobytes()


def test_an_identity_head_is_judged_as_the_champion_is():
    measured = measure(champion(), TEST, GALLERY, champion(), POLICY)
    assert measured.candidate == measured.champion.errors
    assert sum(measured.champion.flipped) == 0


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_head_that_only_turns_the_space_refuses_no_pair_that_was_accepted(seed):
    """Both models are asked about the same pairs: each listed in an order of its own, they looked like flips."""
    turned = Head(np.linalg.qr(np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)))[0].astype(np.float32))
    measured = measure(Served("", turned, champion().threshold), TEST, GALLERY, champion(), POLICY)
    # A score that lies on the threshold may round to either side.
    assert sum(measured.champion.flipped) <= 1 < sum(measured.champion.errors.accepted)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_champion_of_another_network_is_asked_about_the_very_same_photos(seed):
    """Of which one answers as the other, in numbers of its own: by these no photo may be told from its neighbour."""
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)
    theirs = Faces(TEST.base @ turn, TEST.identities, order=TEST.base)
    other = replace(champion(), head=Head(turn.T.copy()), seen=(TEST, theirs))
    found = measure(champion(), TEST, GALLERY, other, POLICY)
    assert sum(found.champion.flipped) <= 1 < sum(found.champion.errors.accepted)
    assert found.champion.ours == found.candidate


@settings(max_examples=5, deadline=None)
@given(st.permutations(sorted(set(TEST.identities))))
def test_whatever_people_are_called_as_many_are_taken_for_themselves_and_for_others(names):
    called = dict(zip(sorted(set(TEST.identities)), names, strict=True))
    renamed = [replace(faces, identities=[called[one] for one in faces.identities]) for faces in (TEST, GALLERY)]
    found, same = (measure(champion(), *people, served(WHITENED), POLICY) for people in (renamed, (TEST, GALLERY)))
    everybody = [1] * 100
    assert found.candidate.tar(everybody) == same.candidate.tar(everybody)
    assert found.candidate.far(everybody) == same.candidate.far(everybody)
    assert (found.gallery, found.spread, found.scores) == (same.gallery, same.spread, same.scores)
    assert sorted(found.champion.flipped) == sorted(same.champion.flipped)
    assert (found.sought.fpir.share, found.sought.tpir.share) == (same.sought.fpir.share, same.sought.tpir.share)


def test_every_pair_is_in_the_histogram_and_the_curve_has_both_ends():
    found = measure(champion(), TEST, GALLERY, None, POLICY)
    assert sum(found.scores.mates) == sum(found.candidate.pairs) == 100 * 6
    assert sum(found.scores.impostors) == 400 * 399 // 2 - 600
    first, *_, last = found.scores.det()
    assert (first.far, first.frr, last.far, last.frr) == (1, 0, 0, 1)
    near = min(found.scores.det(), key=lambda point: abs(point.threshold - champion().threshold))
    assert 1 - near.frr == pytest.approx(found.candidate.tar([1] * 100), abs=0.03)


def test_people_are_found_in_their_slices_by_the_numbers_that_errors_have():
    someone = TEST.identities[40]
    faces = replace(TEST, slices={"branch south": frozenset({someone})})
    (number,) = measure(champion(), faces, GALLERY, None, POLICY).slices["branch south"]
    assert sorted(set(TEST.identities))[number] == someone


def test_a_head_that_helps_passes():
    assert failed(WHITENED) == set()


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rank=st.sampled_from([2, 8, WIDTH]))
def test_a_random_head_is_refused(seed, rank):
    assert FaceCheck.NOT_WORSE in failed(random_head(seed, rank), served(WHITENED))


def test_a_head_that_throws_everything_on_a_line_is_a_collapse():
    assert FaceCheck.NOT_COLLAPSED in failed(random_head(rank=1))


def test_whitening_beats_the_identity_where_photos_of_one_person_differ_alike():
    score = tar_score(TEST, FAR)
    assert score(whitening(TRAIN.base, PERSON)) > score(IDENTITY) + 0.1


def test_whitening_knows_people_by_what_they_are_not_by_their_number():
    renumbered = np.random.default_rng(9).permutation(PERSON.max() + 1)[PERSON]
    one, other = (whitening(TRAIN.base, person).matrix for person in (PERSON, renumbered))
    assert one == pytest.approx(other, abs=1e-5)


def test_a_head_that_is_learned_is_better_and_starts_from_the_identity():
    score = tar_score(CALIBRATE, FAR)
    learned = learn(TRAIN.base, PERSON, score, MarginTraining(steps=30))
    assert learned.way is Way.MARGIN and learned.score > score(IDENTITY)
    assert learn(TRAIN.base, PERSON, lambda head: 0.5, MarginTraining(steps=10)).head.matrix.tobytes() == (
        IDENTITY.matrix.tobytes()
    )


@pytest.mark.parametrize("favourite", Way)
def test_of_the_ways_the_best_is_taken_and_of_equals_the_simplest(favourite):
    whitened = whitening(TRAIN.base, PERSON).matrix

    def score(head):
        way = Way.MARGIN
        if np.array_equal(head.matrix, IDENTITY.matrix):
            way = Way.IDENTITY
        elif np.array_equal(head.matrix, whitened):
            way = Way.WHITENING
        elif np.array_equal(head.matrix, apart(TRAIN.base, PERSON, TAKEN).matrix):
            way = Way.APART
        return 1.0 if way is favourite else 0.5

    assert retrained(TRAIN.base, PERSON, score, TAKEN, MarginTraining(steps=10)).way is favourite


def test_few_impostors_say_nothing_and_those_who_look_alike_are_told_apart_by_what_differs():
    few = Impostors(TAKEN.base[:19], TAKEN.taken_for[:19])
    worst = {Way.APART: 1.0}

    def score(head):
        return worst[Way.APART] if np.array_equal(head.matrix, apart(TRAIN.base, PERSON, few).matrix) else 0.5

    assert retrained(TRAIN.base, PERSON, score, few, MarginTraining(steps=10)).way is not Way.APART
    closer = [head.project(TAKEN.base) for head in (whitening(TRAIN.base, PERSON), apart(TRAIN.base, PERSON, TAKEN))]
    own = [head.project(TRAIN.base[::4][TAKEN.taken_for]) for head in (WHITENED, apart(TRAIN.base, PERSON, TAKEN))]
    alike = [float((one * other).sum(1).mean()) for one, other in zip(closer, own, strict=True)]
    assert alike[1] < alike[0] - 0.1


def test_how_far_embeddings_spread_is_a_number_of_dimensions():
    even = np.random.default_rng(0).normal(size=(5000, 10)).astype(np.float32)
    assert spread_of(even).dimensions == pytest.approx(10, abs=0.2)
    assert spread_of(even * [1] + np.eye(10, dtype=np.float32)[0] * 1e4 * even[:, :1]).dimensions == pytest.approx(
        1, abs=0.1
    )
    assert spread_of(np.ones((5, 10), np.float32)) == Spread(True, 0.0)
    assert not spread_of(np.full((5, 10), np.nan, np.float32)).finite


def test_a_twin_in_the_gallery_is_found_instead_of_oneself():
    twins = Faces(np.concatenate([GALLERY.base, GALLERY.base[:1]]), [*GALLERY.identities, "twin"])
    assert (self_check(IDENTITY, GALLERY).lost, self_check(IDENTITY, twins).lost) == (0, 2)
