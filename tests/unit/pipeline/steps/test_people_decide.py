"""Where evidence ends: a person's word, the floors, or another training."""

from dataclasses import replace

import pytest

from pipeline.domain.blessing import Override, OverrideKind, Verdict, WhenInconclusive
from pipeline.domain.comparison import ComparisonPolicy
from pipeline.domain.errors import GiveUp, NotBlessed
from pipeline.domain.verification import VerificationPolicy
from pipeline.steps.retry import retry
from tests.builders import NOW, a_training_result
from tests.fakes.training import FakeTrainingRuns
from tests.unit.pipeline.steps.verification_world import POLICY, World


def unproven(**changes):
    """Good on every floor, on too few photos to prove it."""
    return World(policy=VerificationPolicy(min_support=5, comparison=ComparisonPolicy(max_gain=0.5)), **changes)


def test_what_is_not_proven_is_accepted_by_the_floors_unless_a_person_is_asked():
    by_floors, by_person = unproven().judge(), unproven().judge(when_inconclusive=WhenInconclusive.APPROVAL)
    assert (by_floors.accepted, by_floors.verdict) == (True, Verdict.INCONCLUSIVE)
    assert (by_person.accepted, by_person.held, by_person.verdict) == (False, True, Verdict.INCONCLUSIVE)
    assert "100 photos are needed" in by_person.reasons[0] and by_floors.doubts == by_person.reasons


def test_a_held_run_goes_on_with_a_persons_word_and_the_verdict_stays():
    world = unproven()
    held = world.judge(when_inconclusive=WhenInconclusive.APPROVAL)
    assert world.outbox.types() == ["ModelVerificationHeldEvent"] and not held.may_be_registered
    approved = world.approve()
    assert approved.approved and approved.may_be_registered
    assert (approved.accepted, approved.override.actor, approved.override.reason) == (False, "kim", "looked")
    assert world.decide() == approved


def test_a_gain_too_good_to_be_true_waits_for_a_person_whatever_the_setting():
    blessing = World(policy=replace(POLICY, comparison=ComparisonPolicy(min_holdout_photos=20))).judge()
    assert blessing.held and "look for a leak" in blessing.reasons[0]


@pytest.mark.parametrize(("changes", "state"), [({}, "accepted"), ({"candidate_wrong": 10}, "refused")])
def test_only_what_was_held_can_be_approved(changes, state):
    world = World(**changes)
    world.judge()
    with pytest.raises(NotBlessed, match=f"was {state}: nothing to approve"):
        world.approve()


def test_a_held_model_that_a_person_refuses_ends_as_one_that_was_refused():
    world = unproven()
    held = world.judge(when_inconclusive=WhenInconclusive.APPROVAL)
    assert held.waits and not held.refused
    refused = world.refuse()
    assert refused.refused and not (refused.waits or refused.approved or refused.may_be_registered)
    assert refused.objections == ("kim refused it: two photos are mislabelled", *held.reasons)
    with pytest.raises(NotBlessed, match="^run run-1 was refused by kim before: nothing to approve$"):
        world.approve()


def test_what_was_approved_is_refused_no_more_nor_is_what_nobody_held():
    world = unproven()
    with pytest.raises(NotBlessed, match="has no verdict"):
        world.refuse()
    world.judge(when_inconclusive=WhenInconclusive.APPROVAL)
    world.approve()
    with pytest.raises(NotBlessed, match="^run run-1 was approved by kim before: nothing to refuse$"):
        world.refuse()
    with pytest.raises(GiveUp, match="a refusal needs an actor and a reason"):
        world.refuse(reason="")


def test_nobody_approves_without_a_name_and_a_reason_or_before_the_verdict():
    world = unproven()
    with pytest.raises(NotBlessed, match="has no verdict"):
        world.approve()
    world.judge(when_inconclusive=WhenInconclusive.APPROVAL)
    for said in ({"actor": ""}, {"reason": "  "}):
        with pytest.raises(GiveUp, match="^an approval needs an actor and a reason$"):
            world.approve(**said)
    assert world.blessings.overrides == {}


def test_what_a_person_forced_needs_no_approval_any_more():
    world = unproven()
    world.judge(when_inconclusive=WhenInconclusive.APPROVAL)
    world.blessings.override(Override("run-1", OverrideKind.FORCED, "lee", "now", NOW))
    with pytest.raises(NotBlessed, match="^run run-1 was forced by lee before: nothing to approve$"):
        world.approve()


# Once more with other hyperparameters


def retried(world, run_id="run-1", **facts):
    runs = FakeTrainingRuns({}, {run_id: a_training_result(run_id, **facts)})
    return retry(run_id, blessings=world.blessings, runs=runs)


def test_a_refusal_that_other_hyperparameters_may_mend_is_tried_again_with_them():
    world = World(candidate_wrong=10)
    world.judge()
    following = retried(world, epochs_completed=50, dataset_id="DS-2026-007")
    assert "run-1 was refused: validation_accuracy, class_accuracy.불량: it was still learning" in following.pop(
        "reason"
    )
    assert following == {"run_id": "retry-of-run-1", "dataset_id": "DS-2026-007", "hyperparameters": {"epochs": 100}}


def test_without_figures_of_the_training_or_when_somebody_forced_it_nothing_is_tried_again():
    world = World(candidate_wrong=10)
    world.judge()
    assert retry("run-1", blessings=world.blessings, runs=FakeTrainingRuns({}, {})) is None
    world.blessings.override(Override("run-1", OverrideKind.FORCED, "lee", "now", NOW))
    assert retried(world, epochs_completed=50) is None


def test_three_attempts_are_enough():
    world = World(candidate_wrong=10)
    refused = world.judge()
    for run_id, again in (("retry-of-run-1", True), ("retry-of-retry-of-run-1", False)):
        world.blessings.granted[run_id] = refused
        assert bool(retried(world, run_id, epochs_completed=50)) is again


@pytest.mark.parametrize(
    ("world", "facts"),
    [(World(candidate_wrong=10), {}), (World(), {"epochs_completed": 50})],
    ids=["more data is needed", "accepted"],
)
def test_nothing_is_tried_again_for_nothing(world, facts):
    assert retried(world, **facts) is None
    world.judge()
    assert retried(world, **facts) is None
