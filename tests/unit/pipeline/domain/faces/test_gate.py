"""A face model goes live when people it never saw are told apart at the threshold it will serve with."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.checks import Outcome, Weight
from pipeline.domain.faces.gate import Champion, FaceCheck, FaceGatePolicy, FaceMeasurement, Gallery, Spread
from pipeline.domain.faces.rates import AtThreshold

POLICY = FaceGatePolicy()
WELL_SPREAD, WHOLE = Spread(True, 60.0), Gallery(500, 0)


def errors(people=300, accepted=0.95, wrong=0):
    """Six pairs of each person, of the first people all refused; `wrong` pairs of two people accepted falsely."""
    refused = round(people * (1 - accepted))
    return AtThreshold(
        photos=(4,) * people,
        accepted=(0,) * refused + (6,) * (people - refused),
        pairs=(6,) * people,
        false_accepts={(n, n + 1): 1 for n in range(wrong)},
    )


def measured(candidate=None, champion=None, flipped=0, **more):
    beside = Champion("v1.0.0", champion, flipped) if champion else None
    return FaceMeasurement(candidate or errors(), WELL_SPREAD, WHOLE, beside, **more)


def failed(measurement, policy=POLICY):
    return {check.name for check in policy.judge(measurement) if check.outcome is not Outcome.PASSED}


def test_a_good_model_passes_alone_and_beside_one_that_is_as_good():
    assert failed(measured()) == failed(measured(champion=errors())) == set()


def test_every_check_is_made_beside_a_champion():
    assert [check.name for check in POLICY.judge(measured(champion=errors()))] == list(FaceCheck)


@pytest.mark.parametrize(
    ("worse", "found"),
    [
        (measured(errors(accepted=0.75)), {FaceCheck.TAR}),
        (measured(errors(wrong=250), None), set()),
        (measured(replace(errors(), false_accepts={(0, 1): 800})), {FaceCheck.FAR}),
        (measured(errors(people=49)), {FaceCheck.PEOPLE}),
        (replace(measured(), spread=Spread(True, 2.0)), {FaceCheck.NOT_COLLAPSED}),
        (replace(measured(), spread=Spread(False, 60.0)), {FaceCheck.NOT_COLLAPSED}),
        (replace(measured(), spread=Spread(True, math.nan)), {FaceCheck.NOT_COLLAPSED}),
        (replace(measured(), gallery=Gallery(500, 1)), {FaceCheck.GALLERY}),
        (measured(errors(accepted=0.85), errors(accepted=0.95)), {FaceCheck.NOT_WORSE}),
        (measured(errors(), errors(), flipped=60), {FaceCheck.NEGATIVE_FLIPS}),
        (measured(errors(accepted=0.95), errors(accepted=0.5)), {FaceCheck.NOT_SUSPICIOUS}),
        (measured(slices={"branch south": frozenset(range(30))}), {FaceCheck.SLICES}),
        (measured(slices={"branch south": frozenset(range(19))}), set()),
        (measured(slices={"branch north": frozenset(range(100, 200))}), set()),
    ],
)
def test_one_fault_fails_its_check(worse, found):
    assert failed(worse) == found


def test_few_people_are_judged_by_a_rate_that_can_be_seen_with_them():
    few, many = replace(errors(people=199), false_accepts={(0, 1): 900}), POLICY.enough_people
    assert POLICY.target(many - 1) == 0.01 and POLICY.target(many) == 0.001
    assert failed(measured(few)) == set()
    assert failed(measured(few), replace(POLICY, enough_people=199)) == {FaceCheck.FAR}


def test_nobody_with_two_photos_passes_nothing_about_mates():
    single = AtThreshold((1,) * 300, (0,) * 300, (0,) * 300, {})
    assert {FaceCheck.TAR, FaceCheck.SLICES, FaceCheck.NOT_WORSE, FaceCheck.NEGATIVE_FLIPS} <= failed(
        measured(single, single)
    )


def test_what_is_not_proven_leaves_the_verdict_open_and_what_is_suspicious_waits():
    weights = {check.name: check.weight for check in POLICY.judge(measured(champion=errors()))}
    assert [name for name, weight in weights.items() if weight is Weight.PROOF] == [
        FaceCheck.NOT_WORSE,
        FaceCheck.NEGATIVE_FLIPS,
    ]
    assert weights[FaceCheck.NOT_SUSPICIOUS] is Weight.HOLD


def test_reasons_are_sentences_with_figures():
    (tar,) = (c for c in POLICY.judge(measured(errors(accepted=0.75))) if c.name == FaceCheck.TAR)
    assert tar.reason == "75.0% of pairs of one person are accepted, 80% needed"
    assert tar.low < tar.value < tar.high
    flips = POLICY.judge(measured(champion=errors(), flipped=60))[-2]
    assert flips.reason == "60 of 1710 pairs of one person that champion v1.0.0 accepts are refused now"


@settings(max_examples=10)
@given(st.integers(0, 300), st.integers(0, 300))
def test_more_refusals_never_make_a_model_pass(fewer, more):
    fewer, more = sorted((fewer, more))
    better, worse = (errors(accepted=1 - refused / 300) for refused in (fewer, more))
    assert (FaceCheck.TAR in failed(measured(better))) <= (FaceCheck.TAR in failed(measured(worse)))
