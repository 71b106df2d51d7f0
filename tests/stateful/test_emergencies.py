"""Nobody loads a model while a rollback has to wait: `WatchedFleet` fails every act that does."""

import pytest

from pipeline.domain.errors import GiveUp, TryAgain
from tests.fakes.faults import Killed
from tests.measure import REPOSITORY
from tests.stateful.acts import KINDS, PREVIOUS
from tests.stateful.asking import candidate, done, live
from tests.unit.pipeline.steps.live_world import LAUNDRY


def test_only_a_rollback_may_load_what_it_brings_back():
    files = (REPOSITORY / "pipeline" / "steps").rglob("*.py")
    found = [file.name for file in files if ".bring_back(" in file.read_text()]
    assert found == ["roll_back.py"]


def half_promoted(story, kind, replica="replica-1"):
    """Killed at the confirmation: one replica serves the new version and the other one came back with the old one."""
    version = candidate(story)
    if kind == "promote canary":
        done(story, "start canary", version)
    story.world.transitions.lost = {"served"}
    assert isinstance(story.perform(story.request(kind, version)), TryAgain)
    story.world.transitions.lost = set()
    story.world.fleet.put_back(LAUNDRY, "v1.1.0", [replica])
    return version


@pytest.mark.parametrize("stuck", [(), ("replica-1",), ("replica-2",), ("replica-1", "replica-2")])
@pytest.mark.parametrize("half", ["promote", "promote canary"])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_asked_while_half_a_promotion_hangs_and_replicas_never_end_to_load(story, kind, half, stuck):
    world = live(story, 2)
    version = half_promoted(story, half)
    another = candidate(story)
    world.fleet.stuck = set(stuck)
    # What was kept warm is not any more: all of it has to be loaded.
    for replica in world.fleet.replicas.values():
        replica.previous, replica.prepared = None, {}
    of = {"promote": another, "start canary": another, "force": another, "approve": "run-1", "roll back": PREVIOUS}
    answer = story.perform(story.request(kind, of.get(kind, version)))
    assert not isinstance(answer, Killed)
    story.check()
    # Whatever it came to, a person's rollback goes through wherever a replica can load.
    if len(stuck) < 2:
        back = story.perform(story.request("roll back", "v1.0.0"))
        assert not isinstance(back, GiveUp | TryAgain), back
    story.recover(late=False)


def test_the_healthy_replica_is_mended_although_another_never_ends_to_load(story):
    world = live(story, 2)
    world.restart("replica-1")
    world.fleet.put_back(LAUNDRY, "v1.0.0", ["replica-1", "replica-2"])
    for replica in world.fleet.replicas.values():
        replica.previous = None
    world.fleet.stuck = {"replica-2"}
    found = story.perform(story.request("reconcile"))
    assert (found.repaired, dict(found.missing)) == (
        ("replica-1",),
        {"replica-2": "could not load v1.1.0, or not in time"},
    )
    world.fleet.stuck = set()
    assert story.perform(story.request("reconcile")).missing == {}
    world.demand_one_story("v1.1.0")
