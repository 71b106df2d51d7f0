"""A share of the requests: begun, judged, promoted or taken off, whatever gets in the way."""

import pytest

from pipeline.domain.errors import (
    CanaryEnded,
    NotBlessed,
    StaleTransition,
)
from pipeline.domain.models import Status
from pipeline.domain.transitions import Kind
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
    assert not world.abort("v1.1.0")
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


@pytest.mark.parametrize("fault", every_fault(lambda fault: with_candidate(trial=True).abort("v1.1.0", fault)), ids=str)
def test_an_abort_killed_at_any_call_and_repeated_is_one(fault):
    world = with_candidate(trial=True)
    with pytest.raises(Killed):
        world.abort("v1.1.0", fault)
    world.abort("v1.1.0")
    assert world.trial() is None
    assert world.outbox.types().count("CanaryAbortedEvent") == 1
