"""A share of the requests: begun, judged, promoted or taken off, whatever gets in the way."""

import pytest

from pipeline.domain.errors import (
    CanaryEnded,
    GiveUp,
    ModelRefused,
    NotBlessed,
    ServiceUnavailable,
    StaleTransition,
)
from pipeline.domain.models import Status
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.domain.transitions import Kind, Phase
from tests.fakes.faults import Killed, every_fault
from tests.unit.pipeline.steps.live_world import LAUNDRY, World


def test_a_canary_leaves_the_champion_and_says_that_it_began():
    world = World().live("first")
    version = world.candidate("second")
    world.start(version)
    assert (world.trial(), world.champion()) == ("v1.1.0", "v1.0.0")
    assert world.versions.get(LAUNDRY, version).status is Status.CANARY
    assert world.outbox.types()[-1] == "CanaryStartedEvent"


def test_it_waits_for_confirmations_of_its_own_verdicts():
    world = World().live("first")
    world.start(world.candidate("second"))
    world.confirm(500, 50)
    assert world.judge("v1.1.0").decision == "wait"
    world.confirm(48, 2, version="v1.1.0")
    assert world.judge("v1.1.0").decision == "wait"
    world.confirm(50, 0, version="v1.1.0")
    assert world.judge("v1.1.0").decision == "promote"
    world.promote("v1.1.0")
    world.demand_one_story("v1.1.0")
    assert world.trial() is None
    assert world.ledger.changes[-1].kind is Kind.CANARY_PROMOTE
    assert world.outbox.types()[-2:] == ["ModelDeployedEvent", "CanaryPromotedEvent"]


def test_an_aborted_canary_is_off_everywhere_and_stays_so_under_the_same_request():
    world = World().live("first")
    world.start(world.candidate("second"))
    assert world.abort("v1.1.0")
    assert world.abort("v1.1.0")
    assert {s.verdict for s in world.fleet.canaries(LAUNDRY)} == {"aborted"}
    assert world.outbox.types()[-1] == "CanaryAbortedEvent"
    with pytest.raises(CanaryEnded, match="is over"):
        world.start("v1.1.0")
    world.start("v1.1.0", request="another try")
    assert world.trial() == "v1.1.0"


def test_a_rollback_during_a_canary_ends_it():
    world = World().live("first", "second")
    world.start(world.candidate("third"))
    world.roll_back()
    world.demand_one_story("v1.0.0")
    assert world.trial() is None
    assert world.judge("v1.2.0").decision == "abort"
    assert world.versions.get(LAUNDRY, "v1.2.0").status is Status.RETIRED


def test_a_restarted_replica_gets_its_share_back():
    world = World().live("first")
    world.start(world.candidate("second"))
    world.fleet.restart("replica-2")
    assert world.judge("v1.1.0").decision == "wait"
    assert {s.version for s in world.fleet.canaries(LAUNDRY)} == {"v1.1.0"}


def test_only_one_is_on_trial():
    world = World().live("first")
    world.start(world.candidate("second"))
    with pytest.raises(CanaryEnded, match=r"v1\.1\.0 is on trial already"):
        world.start(world.candidate("third"))


def test_what_was_not_accepted_or_was_verified_against_another_champion_gets_no_requests():
    world = World().live("first")
    version = world.candidate("second")
    world.accept("second", accepted=False)
    with pytest.raises(NotBlessed):
        world.start(version)
    world.accept("second", against="v0.9.0")
    with pytest.raises(StaleTransition, match=r"v0\.9\.0"):
        world.start(version)
    assert {s.version for s in world.fleet.canaries(LAUNDRY)} == {None}


def test_without_a_champion_there_is_nothing_to_try_it_beside():
    world = World()
    with pytest.raises(StaleTransition, match="promote it in full"):
        world.start(world.candidate("first"))


def with_candidate(trial=False):
    world = World().live("first")
    version = world.candidate("second")
    if trial:
        world.start(version)
    return world


@pytest.mark.parametrize("fault", every_fault(lambda fault: with_candidate().start("v1.1.0", fault=fault)), ids=str)
def test_a_canary_start_killed_at_any_call_and_repeated_is_one_trial(fault):
    world = with_candidate()
    with pytest.raises(Killed):
        world.start("v1.1.0", fault=fault)
    world.start("v1.1.0")
    assert world.trial() == "v1.1.0"
    assert world.outbox.types().count("CanaryStartedEvent") == 1


@pytest.mark.parametrize(
    "fault", every_fault(lambda fault: with_candidate(trial=True).promote("v1.1.0", fault)), ids=str
)
def test_a_promotion_killed_at_any_call_and_repeated_is_one(fault):
    world = with_candidate(trial=True)
    with pytest.raises(Killed):
        world.promote("v1.1.0", fault)
    world.promote("v1.1.0")
    world.demand_one_story("v1.1.0")
    assert world.outbox.types().count("CanaryPromotedEvent") == 1


def test_an_abort_that_comes_too_late_says_what_serves_everybody():
    world = World().live("first")
    world.start(world.candidate("second"))
    world.promote("v1.1.0")
    with pytest.raises(GiveUp, match=r"'v1.1.0' is on no trial, nothing was aborted: v1.1.0 serves everybody"):
        world.abort("v1.1.0")
    assert not world.abort("v1.1.0", begun_by="run-1"), "a retraining ends quietly"


@pytest.mark.parametrize("fault", every_fault(lambda fault: with_candidate(trial=True).abort("v1.1.0", fault)), ids=str)
def test_an_abort_killed_at_any_call_and_repeated_is_one(fault):
    world = with_candidate(trial=True)
    with pytest.raises(Killed):
        world.abort("v1.1.0", fault)
    world.abort("v1.1.0")
    assert world.trial() is None
    assert world.outbox.types().count("CanaryAbortedEvent") == 1


def said(event: OutgoingEvent):
    """Without the times, which the clock counts in milliseconds."""
    return event.id, {name: value for name, value in event.payload.items() if value and not name.endswith(("At", "at"))}


def test_what_is_told_of_a_canary_names_its_trial_and_what_became_of_it():
    world = with_candidate(trial=True)
    world.abort("v1.1.0")
    world.start("v1.1.0", request="again")
    world.promote("v1.1.0", request="again")
    _, started, aborted, again, _, promoted = world.outbox.pending()
    about = {"modelType": "LAUNDRY", "modelVersion": "v1.1.0"}
    first = "canary:LAUNDRY:v1.1.0:run-1"
    assert said(started) == (f"started:{first}", {**about, "eventType": "CanaryStartedEvent", "trafficPercent": 10})
    assert said(aborted) == (f"aborted:{first}", {**about, "eventType": "CanaryAbortedEvent", "reason": "too strict"})
    assert again.id == "started:canary:LAUNDRY:v1.1.0:again"
    assert said(promoted) == (
        "canary-promote:LAUNDRY:again",
        {**about, "eventType": "CanaryPromotedEvent", "reason": "test"},
    )
    for event in (started, aborted, promoted):
        assert event.payload["at"].startswith("2026-05-04T12:00:00.")


def test_replicas_that_try_a_version_of_which_the_log_knows_no_trial_are_stopped_and_no_others():
    world = with_candidate()
    world.fleet.prepare(LAUNDRY, "v1.1.0", world.versions.get(LAUNDRY, "v1.1.0").artifact)
    world.fleet.give_canary(LAUNDRY, "v1.1.0", 10)
    with pytest.raises(GiveUp, match=r"'v9.9.9' is on no trial"):
        world.abort("v9.9.9")
    assert all(seen.running for seen in world.fleet.canaries(LAUNDRY))
    assert world.abort("v1.1.0")
    assert {(seen.verdict, seen.reason) for seen in world.fleet.canaries(LAUNDRY)} == {("aborted", "too strict")}
    assert world.outbox.types() == ["ModelDeployedEvent"]


def test_replicas_say_why_the_trial_was_ended():
    world = with_candidate(trial=True)
    world.abort("v1.1.0")
    assert {seen.reason for seen in world.fleet.canaries(LAUNDRY)} == {"too strict"}


def test_a_canary_that_no_replica_would_load_is_a_failed_try_with_the_reason_and_may_be_tried_again():
    world = with_candidate()
    world.fleet.refuses.add("v1.1.0")
    with pytest.raises(ModelRefused, match="golden predictions differ"):
        world.start("v1.1.0")
    last = world.ledger.entries[-1]
    assert (last.phase, last.act.version) == (Phase.FAILED, "v1.1.0")
    assert "golden predictions differ" in last.detail
    assert not world.ledger.unsettled
    world.fleet.refuses.clear()
    world.start("v1.1.0")
    assert world.trial() == "v1.1.0"


def test_a_canary_that_some_replica_could_not_try_is_taken_off_again_and_says_so():
    world = with_candidate()
    give, world.fleet.give_canary = world.fleet.give_canary, half_given(world)
    with pytest.raises(ServiceUnavailable):
        world.start("v1.1.0")
    world.fleet.give_canary = give
    last = world.ledger.entries[-1]
    assert (last.phase, last.detail) == (Phase.FAILED, "its start was never confirmed: it was taken off everywhere")
    assert world.fleet.replicas["replica-1"].seen().reason == "its start was never confirmed"
    assert not any(seen.running for seen in world.fleet.canaries(LAUNDRY))


def half_given(world):
    def give(model_type, version, percent):
        world.fleet.replicas["replica-1"].set_canary(version)
        raise ServiceUnavailable("faceserve", "connection refused")

    return give


def test_what_is_judged_is_what_people_said_since_the_trial_began():
    world = with_candidate()
    world.confirm(0, 200, version="v1.1.0")
    world.later(hours=1)
    world.start("v1.1.0")
    world.confirm(500, 50)
    world.confirm(100, 0, version="v1.1.0")
    assert world.judge("v1.1.0").decision == "promote"


def test_what_is_not_on_trial_any_more_is_ended_with_a_sentence():
    world = with_candidate(trial=True)
    verdict = world.judge("v9.9.9")
    assert (verdict.decision, verdict.reason) == (
        "abort",
        "v9.9.9 is not on trial any more: the champion changed, or somebody ended it",
    )


def test_a_replica_gets_no_share_back_of_a_trial_that_was_ended_meanwhile():
    world = with_candidate(trial=True)
    world.fleet.restart("replica-2")
    prepare = world.fleet.prepare

    def ended_meanwhile(model_type, version, artifact):
        world.fleet.prepare = prepare
        prepared = prepare(model_type, version, artifact)
        world.abort(version)
        return prepared

    world.fleet.prepare = ended_meanwhile
    world.judge("v1.1.0")
    assert not any(seen.running for seen in world.fleet.canaries(LAUNDRY))
    assert not any(replica.prepared for replica in world.fleet.replicas.values())


def test_a_trial_that_was_ended_while_it_was_prepared_does_not_begin():
    world = with_candidate()
    prepare = world.fleet.prepare

    def ended_meanwhile(model_type, version, artifact):
        prepared = prepare(model_type, version, artifact)
        world.abort(version)
        return prepared

    world.fleet.prepare = ended_meanwhile
    with pytest.raises(CanaryEnded, match=r"the trial of v1\.1\.0 was ended while it was prepared: nothing was tried"):
        world.start("v1.1.0")
    assert not any(seen.running for seen in world.fleet.canaries(LAUNDRY))
    assert not any(replica.prepared for replica in world.fleet.replicas.values())
