"""A promotion that reached one replica of two, the other hangs and wakes up with the new version: what others ask then.

Nobody has confirmed the promotion. Left alone it is undone; an emergency may find that it did happen, and end it.
"""

import pytest

from pipeline.domain.errors import ServiceUnavailable, StaleTransition, UnknownVersion
from pipeline.domain.transitions import Phase
from tests.fakes.faults import Fault
from tests.fakes.fleet import Accident
from tests.stateful.acts import PREVIOUS
from tests.stateful.asking import ask, candidate, done, events, everybody_serves, live, refused
from tests.unit.pipeline.steps.live_world import LAUNDRY

REPLICAS = {"replica-1", "replica-2"}
# The call on the fleet after which the second replica has activated.
_SECOND_ACTIVATED = 6


def half_promoted(story):
    """The version that only replica-2 serves, which hangs."""
    version = candidate(story)
    story.world.fleet.accident = Accident(_SECOND_ACTIVATED, after=True, hangs=True)
    with pytest.raises(Exception, match="replica-2"):
        story.request("promote", version).run(story.world, Fault())
    return version


def wakes(world, *replicas):
    for replica in replicas:
        world.fleet.wake(replica, late=False)


@pytest.fixture
def half(story):
    """v1.1.0 is champion, and replica-2 serves v1.2.0."""
    world = live(story, 2)
    version = half_promoted(story)
    wakes(world, "replica-2")
    assert world.serving() == {"replica-1": "v1.1.0", "replica-2": version}
    return world


def test_left_alone_it_is_undone(story, half):
    done(story, "reconcile")
    everybody_serves(story, "v1.1.0")


def test_a_refused_rollback_decides_nothing_about_it(story, half):
    before = half.ledger.entries
    refused(story, UnknownVersion, "never served", "roll back", "v9.9.9")
    assert half.ledger.entries == before
    done(story, "reconcile")
    everybody_serves(story, "v1.1.0")


def test_a_rollback_that_was_done_before_and_is_asked_again_decides_nothing_about_it(story):
    world = live(story, 2)
    rollback = story.request("roll back", PREVIOUS)
    story.perform(rollback)
    half_promoted(story)
    wakes(world, "replica-2")
    before = world.ledger.entries
    assert story.perform(rollback).serves_now == "v1.0.0"
    assert world.ledger.entries == before
    done(story, "reconcile")
    everybody_serves(story, "v1.0.0")


def test_a_rollback_by_somebody_who_has_seen_it_serve_ends_it(story, half):
    done(story, "roll back", PREVIOUS)
    everybody_serves(story, "v1.1.0")
    assert "v1.2.0" in half.ledger.shunned


def test_previous_is_refused_while_nobody_can_tell_which_version_it_is_before(story):
    world = live(story, 2)
    half_promoted(story)
    refused(story, UnknownVersion, "nobody knows whether v1.2.0 serves", "roll back", PREVIOUS)
    wakes(world, "replica-2")
    done(story, "roll back", PREVIOUS)
    everybody_serves(story, "v1.1.0")


def test_previous_is_plain_again_when_every_replica_says_that_it_serves_the_champion(story):
    world = live(story, 2)
    half_promoted(story)
    wakes(world, "replica-2")
    world.fleet.bring_back(LAUNDRY, "v1.1.0", world.versions.get(LAUNDRY, "v1.1.0").artifact)
    done(story, "roll back", PREVIOUS)
    everybody_serves(story, "v1.0.0")


def test_a_version_named_while_half_a_promotion_hangs_is_gone_back_to(story):
    world = live(story, 2)
    half_promoted(story)
    done(story, "roll back", "v1.0.0")
    wakes(world, "replica-2")
    done(story, "reconcile")
    everybody_serves(story, "v1.0.0")


@pytest.fixture
def half_back(story):
    """While replica-2 hangs a rollback reaches replica-1, and the database is away before it is confirmed."""
    world = live(story, 2)
    half_promoted(story)
    world.transitions.lost = {Phase.SERVED}
    story.rollback = story.request("roll back", "v1.0.0")
    assert isinstance(story.perform(story.rollback), ServiceUnavailable)
    world.transitions.lost = set()
    wakes(world, "replica-2")
    assert world.serving() == {"replica-1": "v1.0.0", "replica-2": "v1.2.0"}
    return world


def test_half_a_rollback_is_finished_before_half_a_promotion_is_undone(story, half_back):
    done(story, "reconcile")
    everybody_serves(story, "v1.0.0")


def test_half_a_rollback_that_is_asked_again_goes_where_it_went(story, half_back):
    assert story.perform(story.rollback).serves_now == "v1.0.0"
    done(story, "reconcile")
    everybody_serves(story, "v1.0.0")


def test_another_previous_finds_half_a_rollback_and_goes_no_way_of_its_own(story, half_back):
    refused(story, StaleTransition, "v1.0.0", "roll back", PREVIOUS)
    done(story, "reconcile")
    everybody_serves(story, "v1.0.0")


@pytest.mark.parametrize("ended_by", ["abort canary", "conclude"])
def test_an_abort_before_anybody_confirmed_the_promotion_wins(story, ended_by):
    world = live(story, 1)
    version = candidate(story)
    done(story, "start canary", version)
    activate = world.fleet.activate

    def then_all_hang(*of):
        answer = activate(*of)
        world.fleet.hung = set(REPLICAS)
        return answer

    world.fleet.activate = then_all_hang
    ask(story, "promote canary", version)
    world.fleet.activate = activate
    ask(story, ended_by, version)
    wakes(world, *REPLICAS)
    assert set(world.serving().values()) == {version}
    done(story, "reconcile")
    everybody_serves(story, "v1.0.0")
    assert "CanaryAbortedEvent" in events(story)


def test_a_promotion_does_not_go_live_over_a_rollback_that_nobody_confirmed(story):
    world = live(story, 2)
    version = candidate(story)
    prepare = world.fleet.prepare

    def meanwhile_a_rollback_fails(*of):
        answer = prepare(*of)
        world.fleet.hung = set(REPLICAS)
        with pytest.raises(ServiceUnavailable):
            story.request("roll back", PREVIOUS).run(world, Fault())
        wakes(world, *REPLICAS)
        return answer

    world.fleet.prepare = meanwhile_a_rollback_fails
    refused(story, StaleTransition, "a rollback to v1.0.0", "promote", version)
    world.fleet.prepare = prepare
    done(story, "reconcile")
    everybody_serves(story, "v1.1.0")


def test_half_a_promotion_whose_canary_was_aborted_counts_for_the_rollback_that_ends_it(story):
    world = live(story, 2)
    version = candidate(story)
    done(story, "start canary", version)
    # One replica forgets what it prepared, and no replica takes the champion back.
    world.fleet.forgets, world.fleet.refuses = {"replica-1"}, {"v1.1.0"}
    for kind in ("promote canary", "abort canary"):
        ask(story, kind, version)
    assert sorted(world.serving().values()) == ["v1.1.0", version]
    ask(story, "roll back", PREVIOUS)
    world.fleet.forgets, world.fleet.refuses = set(), set()
    done(story, "reconcile")
    everybody_serves(story, "v1.1.0")
