"""Reconcile mends what it reaches: one replica that cannot be mended keeps nothing else from it."""

import pytest

from pipeline.domain.errors import ServiceUnavailable, Unconfirmed
from pipeline.domain.transitions import Phase
from tests.fakes.faults import Killed
from tests.unit.pipeline.steps.live_world import LAUNDRY, World


def artifact(world, version):
    return world.versions.get(LAUNDRY, version).artifact


def test_a_replica_that_cannot_be_brought_back_is_missing_and_the_rest_is_mended():
    world = World().live("first", "second")
    world.fleet.put_back(LAUNDRY, "v1.0.0", ["replica-2"])
    world.fleet.forgets.add("replica-2")
    world.registry.aliases.clear()
    done = world.reconcile()
    assert (done.repaired, list(done.missing)) == ((), ["replica-2"])
    assert world.registry.aliases[LAUNDRY]["champion"] == "v1.1.0"


def test_a_stray_trial_is_ended_where_replicas_answer_and_the_champion_comes_back_there():
    world = World().live("first", "second")
    stray = world.candidate("third")
    world.fleet.prepare(LAUNDRY, stray, artifact(world, stray))
    world.fleet.give_canary(LAUNDRY, stray, 10)
    world.fleet.down.add("replica-2")
    done = world.reconcile()
    assert (done.strays, list(done.missing)) == (("replica-1",), ["replica-2"])
    assert [seen.reason for seen in world.fleet.canaries(LAUNDRY)] == ["by the log it is not on trial", ""]
    world.fleet.down.clear()
    assert world.reconcile().strays == ("replica-2",)
    assert not any(seen.running for seen in world.fleet.canaries(LAUNDRY))
    world.demand_one_story("v1.1.0")


def test_a_replica_that_still_tries_what_became_champion_while_it_was_out_is_put_back_to_it_at_once():
    """It has that version loaded as the one on trial alone: ending the trial first would take it away."""
    world = World().live("first")
    tried = world.candidate("second")
    world.start(tried)
    world.fleet.out.add("replica-2")
    world.force("second")
    world.fleet.out.clear()
    done = world.reconcile()
    assert (done.repaired, done.strays, done.missing) == (("replica-2",), (), {})
    assert not any(seen.running for seen in world.fleet.canaries(LAUNDRY))
    world.demand_one_story(tried)


def test_what_is_missing_is_told_with_the_reason():
    world = World().live("first", "second")
    world.fleet.down.add("replica-2")
    assert world.reconcile().missing == {"replica-2": "does not answer (UNAVAILABLE)"}


def unreachable(world):
    """Both replicas went when they had switched to the third version."""
    activate = world.fleet.activate

    def gone(model_type, prepared):
        swap = activate(model_type, prepared)
        world.fleet.down = {"replica-1", "replica-2"}
        return swap

    world.fleet.activate = gone
    with pytest.raises(Unconfirmed, match="v1.2.0 was activated, but replica-1 does not answer .UNAVAILABLE.; "):
        world.hot_swap(world.candidate("third"), request="swap")
    world.fleet.activate = activate
    return world


def test_what_nobody_could_be_asked_about_is_unconfirmed_and_named_to_whoever_comes_next():
    world = unreachable(World().live("first", "second"))
    last = world.ledger.entries[-1]
    assert (last.phase, last.detail.partition(",")[0]) == (Phase.UNCONFIRMED, "v1.2.0 was activated")
    with pytest.raises(Unconfirmed) as refusal:
        world.hot_swap(world.candidate("fourth"))
    assert str(refusal.value) == (
        "nobody knows yet what came of v1.2.0, asked for by DAG (test): "
        "replica-1 does not answer (UNAVAILABLE); replica-2 does not answer (UNAVAILABLE)"
    )


def test_an_act_that_was_left_open_is_settled_and_named_once_replicas_can_tell():
    world = unreachable(World().live("first", "second"))
    assert world.reconcile().settled == ()
    world.fleet.down = set()
    assert world.reconcile().settled == ("promote:LAUNDRY:swap",)
    world.demand_one_story("v1.2.0")
    assert world.reconcile().settled == ()


def test_a_rollback_that_reached_some_replicas_is_completed_and_told_once():
    world = World().live("first", "second")
    world.fleet.down = {"replica-2"}
    done = world.roll_back()
    assert done.swap.missing == {"replica-2": "does not answer (UNAVAILABLE)"}
    assert world.ledger.incomplete.detail == "replica-2 does not answer (UNAVAILABLE)"
    world.fleet.down = set()
    assert world.reconcile().repaired == ("replica-2",)
    assert world.ledger.incomplete is None
    assert world.outbox.types().count("ModelRolledBackEvent") == 1


def test_a_rollback_that_reached_no_replica_fails_only_when_they_were_seen_to_serve_something_else():
    world = World().live("first", "second")
    world.fleet.down = {"replica-1", "replica-2"}
    with pytest.raises(ServiceUnavailable):
        world.roll_back()
    assert world.ledger.entries[-1].phase is Phase.UNCONFIRMED
    assert "no replica could be brought back to v1.0.0" in world.ledger.entries[-1].detail


def test_half_a_rollback_is_told_with_the_next_one_that_goes_further():
    world = World().live("first", "second", "third")
    bring_back = world.fleet.bring_back

    def killed(*asked):
        bring_back(*asked)
        raise Killed

    world.fleet.bring_back = killed
    with pytest.raises(Killed):
        world.roll_back(request="one")
    world.fleet.bring_back = bring_back
    world.roll_back("v1.0.0", request="two")
    world.demand_one_story("v1.0.0")
    told = [event.payload["modelVersion"] for event in world.outbox.pending() if event.type == "ModelRolledBackEvent"]
    assert told == ["v1.1.0", "v1.0.0"]
