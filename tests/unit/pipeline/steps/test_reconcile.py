"""Reconcile mends what it reaches: one replica that cannot be mended keeps nothing else from it."""

from tests.unit.pipeline.steps.live_world import LAUNDRY, World


def artifact(world, version):
    return world.versions.get(LAUNDRY, version).artifact


def test_a_replica_that_cannot_be_brought_back_is_missing_and_the_rest_is_mended():
    world = World().live("first", "second")
    world.fleet.bring_back(LAUNDRY, "v1.0.0", artifact(world, "v1.0.0"), ["replica-2"])
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
    assert not any(seen.running for seen in world.fleet.canaries(LAUNDRY))
    world.fleet.down.clear()
    assert world.reconcile().strays == ("replica-2",)
    assert not any(seen.running for seen in world.fleet.canaries(LAUNDRY))
    world.demand_one_story("v1.1.0")
