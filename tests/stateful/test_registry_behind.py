"""A registry that is away when the champion changes: the log holds what it was not told, until nobody is misled."""

import pytest

from pipeline.domain.errors import ServiceUnavailable
from tests.fakes.faults import Killed
from tests.stateful.acts import PREVIOUS
from tests.stateful.asking import ask, candidate, done, everybody_serves, live
from tests.stateful.machine import Story, Trouble
from tests.stateful.world import StatefulWorld
from tests.unit.pipeline.steps.live_world import LAUNDRY


def _away(*args, **named):
    raise ServiceUnavailable("MLflow", "connection refused")


def rolled_back_while_the_registry_is_away(story):
    """v1.0.0 serves, the registry still names v1.1.0, and is back."""
    world = live(story, 2)
    mirror, world.registry.mirror = world.registry.mirror, _away
    rollback = story.request("roll back", PREVIOUS)
    assert story.perform(rollback).registry_is_behind
    world.registry.mirror = mirror
    return rollback


@pytest.mark.parametrize("by", ["reconcile", "the same rollback"])
def test_a_replica_with_an_empty_disk_that_was_told_the_old_champion_does_not_keep_it(story, by):
    rollback, world = rolled_back_while_the_registry_is_away(story), story.world
    story.restart_with_an_empty_disk("replica-2")
    assert world.serving()["replica-2"] == "v1.1.0"
    assert "the registry was not seen to name v1.0.0" in done(story, "watch").problem
    if by == "the same rollback":
        assert story.perform(rollback).registry_is_behind, "whoever was misled still serves v1.1.0"
    done(story, "reconcile")
    assert set(world.serving().values()) == {"v1.0.0"}
    assert done(story, "watch").problem is None


def test_nor_one_that_asked_the_registry_after_reconciling_had_looked_at_the_replicas(story):
    rolled_back_while_the_registry_is_away(story)
    mirror = story.world.registry.mirror

    def first_a_replica_starts(*of, **named):
        story.world.registry.mirror = mirror
        story.restart_with_an_empty_disk("replica-2")
        return mirror(*of, **named)

    story.world.registry.mirror = first_a_replica_starts
    done(story, "reconcile")
    assert set(story.world.serving().values()) == {"v1.0.0"}


def test_the_registry_is_behind_until_a_replica_that_may_have_asked_it_answers(story):
    rolled_back_while_the_registry_is_away(story)
    world = story.world
    story.restart_with_an_empty_disk("replica-2")
    world.fleet.hung = {"replica-2"}
    assert set(done(story, "reconcile").missing) == {"replica-2"}
    assert world.registry.aliases[LAUNDRY]["champion"] == "v1.0.0" and world.ledger.registry_is_behind
    everybody_serves(story, "v1.0.0")


@pytest.mark.parametrize("kind", ["promote", "roll back"])
def test_killed_at_any_call_the_log_knows_what_the_registry_does_not(kind):
    """The story's own check: where the registry names another version than the log, the log says that it is behind."""
    for at in range(1, 60):
        told = Story(StatefulWorld())
        live(told, 2)
        version = candidate(told)
        answer = ask(told, kind, PREVIOUS if kind == "roll back" else version, Trouble("killed", at))
        if not isinstance(answer, Killed):
            return
        told.recover(late=False)
    raise AssertionError("it never ended")
