"""Every rule about what may change, on values alone."""

from dataclasses import replace

import pytest

from faceserve.errors import BadArtifact, BadRequest, NoModel, StaleEpoch, UnknownModel
from faceserve.rollout.canary import Limits
from faceserve.rollout.ending import Concluded
from faceserve.rollout.snapshot import ANY_EPOCH, Snapshot
from faceserve.rollout.state import State
from tests.unit.faceserve.rollout.world import MODEL, generation, origin

LIMITS = Limits()


def holding(*versions, **options):
    """Prepared, nothing serves."""
    found = Snapshot(MODEL)
    for version in versions:
        found = found.with_prepared(generation(version, **options))
    return found


def activated(snapshot, version, at=1.0, epoch=ANY_EPOCH):
    return snapshot.activated(version, epoch, at)


def tried(snapshot, version, percent=10, *, shadow=False):
    return snapshot.on_trial(version, percent, shadow=shadow, limits=LIMITS)


@pytest.fixture
def serving():
    """v1 serves, v2 and v3 are prepared."""
    return activated(holding("v1", "v2", "v3"), "v1")


@pytest.fixture
def trying(serving):
    return tried(serving, "v2", 100)


def versions(generations):
    return [one.version for one in generations]


# Activating


def test_what_is_activated_serves_and_what_served_stays_as_the_previous_one(serving):
    after = activated(serving, "v2", at=5.0)
    assert (after.active.version, after.previous.version, after.epoch) == ("v2", "v1", 2)
    assert versions(after.prepared) == ["v3"]
    assert after.history.entries == (origin("v1", 1.0), origin("v2", 5.0))


def test_what_serves_already_changes_nothing_whatever_epoch_is_expected(trying):
    assert activated(trying, "v1", epoch=99) is trying


@pytest.mark.parametrize("epoch", [0, 2, -2])
def test_against_another_epoch_nothing_is_activated(serving, epoch):
    with pytest.raises(StaleEpoch, match=f"epoch 1 serves v1, {epoch} was expected"):
        activated(serving, "v2", epoch=epoch)


def test_the_expected_epoch_may_be_any_or_the_one_there_is(serving):
    assert activated(serving, "v2", epoch=1).active.version == "v2"
    assert activated(serving, "v2", epoch=-1).active.version == "v2"
    with pytest.raises(StaleEpoch, match="epoch 0 serves None, 5 was expected"):
        Snapshot(MODEL).demand_epoch(5)


def test_what_is_not_in_memory_cannot_be_activated(serving):
    with pytest.raises(UnknownModel, match="laundry v9 is not prepared on this replica"):
        activated(serving, "v9")


def test_what_an_activation_leaves_for_nothing_is_told(serving):
    second = activated(serving, "v2")
    assert second.gone(activated(second, "v3")) == [serving.active]
    assert second.gone(activated(second, "v1")) == []


def test_a_change_names_what_is_gone_once(serving):
    """The previous version is on trial: two reasons to be in memory, one to go."""
    third = tried(activated(serving, "v2"), "v1")
    assert versions(third.generations) == ["v2", "v1", "v3"]
    assert versions(third.gone(activated(third, "v3"))) == ["v1"]
    assert third.gone(third.without_previous()) == []


# Artifacts


def test_a_version_never_changes_its_files(serving):
    assert serving.has(origin("v1"))
    assert serving.has(origin("v2"))
    assert not serving.has(origin("v9"))
    with pytest.raises(BadArtifact, match="v2 is loaded from another artifact"):
        serving.has(origin("v2", sha256="other"))


def pace(active_ms, candidate_ms, backbone="Tiny"):
    serving = activated(holding("v1", cpu_ms=active_ms), "v1")
    serving.demand_pace(generation("v2", cpu_ms=candidate_ms, backbone=backbone))


def test_a_candidate_several_times_slower_with_the_same_backbone_is_refused():
    pace(10.0, 40.0)
    with pytest.raises(BadArtifact, match="takes 41 ms of processor time, v1 took 10 ms with the same backbone"):
        pace(10.0, 41.0)


def test_the_pace_of_another_backbone_or_one_not_known_says_nothing():
    pace(10.0, 400.0, backbone="Larger")
    pace(0.0, 400.0)
    pace(10.0, 0.0)
    Snapshot(MODEL).demand_pace(generation("v1", cpu_ms=400.0))


def test_what_served_here_may_be_gone_back_to_whatever_its_pace(serving):
    fast = activated(serving.with_prepared(generation("fast", cpu_ms=10.0)), "fast")
    fast.demand_pace(generation("v1", cpu_ms=400.0))
    with pytest.raises(BadArtifact):
        fast.demand_pace(generation("v2", cpu_ms=400.0))


def test_below_a_millisecond_pace_is_noise():
    pace(0.1, 4.0)
    with pytest.raises(BadArtifact):
        pace(0.1, 4.1)


# Preparing and discarding


def test_only_what_is_prepared_can_be_discarded(serving):
    assert versions(serving.without_prepared("v2").prepared) == ["v3"]
    assert serving.without_prepared("v1") is serving
    assert serving.without_prepared("v9") is serving


# Trials


@pytest.mark.parametrize("percent", [0, -1, 100.1, float("nan"), float("inf")])
def test_a_share_is_more_than_nothing_and_at_most_all(serving, percent):
    with pytest.raises(BadRequest, match="more than 0 and at most 100 percent"):
        tried(serving, "v2", percent)


def test_a_trial_begins_with_a_new_epoch_and_leaves_what_serves(serving):
    found = tried(replace(serving, concluded=Concluded("v0", "aborted", "x")), "v2", 0.5, shadow=True)
    assert (found.canary.version, found.canary.share.percent, found.canary.shadow) == ("v2", 0.5, True)
    assert (found.active, found.epoch, found.concluded) == (serving.active, 2, None)
    assert versions(found.prepared) == ["v3"]


def test_the_same_trial_again_goes_on_and_another_share_or_kind_begins_anew(trying):
    assert tried(trying, "v2", 100) is trying
    for other in (tried(trying, "v2", 50), tried(trying, "v2", 100, shadow=True)):
        assert other.canary.trial is not trying.canary.trial
        assert (other.canary.generation, other.epoch) == (trying.canary.generation, 3)


def test_one_candidate_at_a_time(trying):
    with pytest.raises(BadRequest, match="v2 is on trial already: promote or abort it first"):
        tried(trying, "v3")


@pytest.mark.parametrize("version", ["v1", "v9"])
def test_neither_what_serves_nor_what_is_not_there_is_tried(serving, version):
    with pytest.raises(UnknownModel, match="is not prepared beside an active version"):
        tried(serving, version)


def test_without_a_version_that_serves_nothing_is_tried():
    with pytest.raises(UnknownModel):
        tried(holding("v1"), "v1")


def test_a_promoted_candidate_serves_and_its_trial_is_over(trying):
    after = trying.promoted("v2", 2, 7.0)
    assert (after.active.version, after.canary, after.epoch) == ("v2", None, 3)
    assert after.concluded == Concluded("v2", "promoted", "as asked")
    assert after.promoted("v2", ANY_EPOCH, 8.0) is after


def test_only_what_is_on_trial_or_serves_is_promoted(trying):
    assert trying.promoted("v1", ANY_EPOCH, 2.0) is trying
    for version in ("v3", "v9"):
        with pytest.raises(UnknownModel, match=f"laundry {version} is not on trial"):
            trying.promoted(version, ANY_EPOCH, 2.0)
    with pytest.raises(StaleEpoch):
        trying.promoted("v2", 1, 2.0)


def test_an_aborted_trial_says_why_and_what_serves_stays(trying):
    after = trying.trial_aborted("v2", "a branch complained")
    assert (after.active, after.canary, after.epoch) == (trying.active, None, 3)
    assert after.concluded == Concluded("v2", "aborted", "a branch complained")
    assert after.trial_aborted("v2", "again") is after
    assert trying.trial_aborted("v3", "another one") is trying


def test_a_trial_ends_when_something_else_is_activated_and_its_end_is_told_until_the_next(trying):
    after = activated(trying, "v3")
    assert (after.canary, after.concluded) == (None, Concluded("v2", "replaced", "v3 was activated"))
    assert activated(after, "v1").concluded == after.concluded


# Requests


def test_a_request_without_a_version_is_answered_by_what_serves(serving):
    lease = serving.lease("", "task-1")
    assert (lease.generation, lease.epoch, lease.side) == (serving.active, 1, "stable")
    assert (lease.canary, lease.mirrored) == (None, False)


def test_a_request_may_ask_for_what_serves_served_before_or_is_on_trial(serving):
    found = tried(activated(serving, "v2"), "v3")
    assert [found.lease(version, "").generation.version for version in ("v1", "v2", "v3")] == ["v1", "v2", "v3"]
    assert [found.lease(version, "").side for version in ("v1", "v2", "v3")] == ["stable"] * 3
    assert found.lease("v2", "").canary is None
    with pytest.raises(UnknownModel, match="laundry 'v9' is not loaded; v2 is active"):
        found.lease("v9", "")


def test_a_prepared_version_answers_nobody(serving):
    with pytest.raises(UnknownModel):
        serving.lease("v3", "")
    with pytest.raises(NoModel, match="no version of laundry serves"):
        holding("v1").lease("", "")


def test_on_trial_the_share_is_answered_by_the_candidate(trying):
    lease = trying.lease("", "task-1")
    assert (lease.generation, lease.side, lease.mirrored) == (trying.canary.generation, "canary", False)
    assert (lease.canary, lease.epoch) == (trying.canary, 2)


def test_outside_the_share_the_stable_version_answers_and_is_counted(serving):
    found = tried(serving, "v2", 1e-9)
    lease = found.lease("", "task-1")
    assert (lease.generation, lease.side, lease.canary, lease.mirrored) == (found.active, "stable", found.canary, False)


def test_in_shadow_the_stable_version_answers_and_the_share_is_mirrored(serving):
    found = tried(serving, "v2", 100, shadow=True)
    lease = found.lease("", "task-1")
    assert (lease.generation, lease.side, lease.canary, lease.mirrored) == (found.active, "stable", found.canary, True)


# Rolling back


def test_the_previous_version_is_what_a_rollback_serves(serving):
    assert activated(serving, "v2").rollback_target("") == origin("v1", 1.0)


def test_who_went_back_stays_there(serving):
    back = activated(activated(serving, "v2", at=2.0), "v1", at=3.0)
    assert back.rollback_target("") == back.active.origin
    again = activated(back, "v2", at=4.0)
    assert again.rollback_target("").version == "v1"


def test_any_that_served_can_be_named_also_what_serves(serving):
    found = activated(activated(serving, "v2", at=2.0), "v3", at=3.0)
    assert found.rollback_target("v1") == origin("v1", 1.0)
    assert found.rollback_target("v2") == origin("v2", 2.0)
    assert found.rollback_target("v3") == found.active.origin


def test_a_previous_version_that_is_not_kept_warm_is_known_from_the_history(serving):
    assert activated(serving, "v2").without_previous().rollback_target("") == origin("v1", 1.0)


def test_where_nothing_serves_what_served_last_does(serving):
    state = State(origin("v2", 2.0), None, 5, (origin("v1", 1.0), origin("v2", 2.0)))
    assert Snapshot(MODEL).remembering(state).rollback_target("") == origin("v2", 2.0)


@pytest.mark.parametrize(("version", "reason"), [("", "no previous version"), ("v2", "no v2 among the last 10")])
def test_what_never_served_cannot_be_rolled_back_to(serving, version, reason):
    with pytest.raises(UnknownModel, match=reason):
        serving.rollback_target(version)


# Restarts


def test_what_is_remembered_is_what_serves_and_the_way_there(serving):
    assert Snapshot(MODEL).remembered is None
    assert serving.remembered == State(origin("v1", 1.0), None, 1, (origin("v1", 1.0),))
    second = activated(serving, "v2", at=2.0)
    history = (origin("v1", 1.0), origin("v2", 2.0))
    assert second.remembered == State(origin("v2", 2.0), origin("v1"), 2, history)


def test_the_end_of_a_trial_is_counted_and_noted_before_it_comes(trying):
    assert trying.remembered.epoch == trying.epoch + 1 == trying.trial_aborted("v2", "x").remembered.epoch
    assert trying.remembered.concluded == Concluded("v2", "lost", "ended while it tried v2", 1)


def test_after_a_restart_epochs_and_history_go_on(serving):
    state = serving.remembered
    found = Snapshot(MODEL, epoch=3).remembering(replace(state, epoch=2))
    assert (found.epoch, found.history.entries) == (3, state.history)
    assert Snapshot(MODEL).remembering(replace(state, epoch=2)).epoch == 2
    assert serving.remembering(replace(state, epoch=99)) is serving


def test_what_is_restored_serves_even_if_the_history_forgot_it():
    active, previous = generation("v2"), generation("v1")
    state = State(origin("v2", 2.0), origin("v1"), 7, (origin("v1", 1.0),))
    found = Snapshot(MODEL).restored(active, state).with_previous(previous)
    assert (found.active, found.previous, found.epoch) == (active, previous, 7)
    assert found.history.entries == (origin("v1", 1.0), origin("v2", 2.0))
