"""Sequences around a canary that once put the wrong model live, or left a trial behind: one test each."""

from dataclasses import replace
from itertools import count

import pytest

from pipeline.domain.errors import (
    CanaryDidHarm,
    CanaryEnded,
    ServiceUnavailable,
    TakenDown,
    Unconfirmed,
)
from pipeline.domain.transitions import Phase
from tests.fakes.faults import Fault, Killed
from tests.stateful.acts import PREVIOUS
from tests.stateful.asking import ask, candidate, done, events, everybody_serves, live, refused, trying
from tests.stateful.machine import Story, Trouble
from tests.stateful.world import StatefulWorld
from tests.unit.pipeline.steps.live_world import LAUNDRY


def test_an_approval_that_comes_a_day_after_the_canary_was_aborted_promotes_nothing(story):
    world = live(story, 1)
    done(story, "start canary", candidate(story))
    done(story, "abort canary", "v1.1.0")
    world.later(days=1)
    refused(story, CanaryEnded, "its trial was aborted by kim", "promote canary", "v1.1.0")
    refused(story, TakenDown, "Try it as a canary again", "promote", "v1.1.0")
    everybody_serves(story, "v1.0.0")


def test_a_run_that_is_cleared_after_its_trial_does_not_promote_the_next_one_of_the_same_version(story):
    world = live(story, 1)
    done(story, "start canary", candidate(story))
    run = story.request("promote canary", "v1.1.0")
    world.fleet.down = {"replica-2"}
    assert isinstance(story.perform(run), ServiceUnavailable)
    story.restart("replica-2")
    world.fleet.down = set()
    done(story, "abort canary", "v1.1.0")
    done(story, "start canary", "v1.1.0")
    again = story.perform(run)
    assert isinstance(again, CanaryEnded) and "kim began another trial of it" in str(again)
    everybody_serves(story, "v1.0.0")
    assert trying(story) == {"v1.1.0"}


def test_an_abort_that_is_asked_for_again_does_not_end_the_next_trial_of_the_same_version(story):
    live(story, 1)
    done(story, "start canary", candidate(story))
    abort = story.request("abort canary", "v1.1.0")
    assert story.perform(abort) is True
    done(story, "start canary", "v1.1.0")
    assert story.perform(abort) is True
    story.check()
    assert trying(story) == {"v1.1.0"}


def test_a_run_that_goes_on_after_its_trial_does_not_end_the_next_one_of_the_same_version(story):
    live(story, 1)
    first = story.request("start canary", candidate(story))
    story.perform(first)
    done(story, "abort canary", "v1.1.0")
    done(story, "start canary", "v1.1.0")
    looked = story.perform(story.request("judge canary", "v1.1.0", begun_by=first.id))
    assert (looked.decision, "not on trial any more" in looked.reason) == ("abort", True)
    assert story.perform(story.request("abort canary", "v1.1.0", begun_by=first.id)) is False
    story.check()
    assert trying(story) == {"v1.1.0"}


def test_a_canary_that_is_aborted_while_its_promotion_is_prepared_is_not_promoted(story):
    live(story, 1)
    done(story, "start canary", candidate(story))
    for at in range(1, 30):
        abort = story.request("abort canary", "v1.1.0")
        answer = ask(story, "promote canary", "v1.1.0", trouble=Trouble("meanwhile", at), meanwhile=abort)
        if hasattr(answer, "change"):
            break
        everybody_serves(story, "v1.0.0")
        done(story, "start canary", "v1.1.0")
    everybody_serves(story, "v1.1.0")


@pytest.mark.parametrize("settled_by", ["reconcile", "conclude", "abort canary", "start canary"])
def test_a_trial_whose_note_the_database_lost_goes_on_nowhere(story, settled_by):
    world = live(story, 1)
    version = candidate(story)
    world.transitions.lost = {Phase.NOTED, Phase.FAILED}
    refused(story, ServiceUnavailable, "database", "start canary", version)
    assert trying(story) == {version}
    world.transitions.lost = set()
    done(story, settled_by, "" if settled_by == "reconcile" else version)
    assert trying(story) == ({version} if settled_by == "start canary" else set())
    assert world.ledger.unsettled == ()


def test_a_version_that_was_rolled_back_can_be_promoted_again_in_another_request(story):
    live(story, 2)
    done(story, "roll back", PREVIOUS)
    assert done(story, "promote", "v1.1.0").serves_now == "v1.1.0"
    everybody_serves(story, "v1.1.0")
    assert events(story).count("ModelDeployedEvent") == 3


def test_the_same_request_again_changes_nothing_and_says_what_serves_now(story):
    world = live(story, 1)
    promotion = story.request("promote", candidate(story))
    story.perform(promotion)
    done(story, "roll back", PREVIOUS)
    assert story.perform(promotion).serves_now == "v1.0.0"
    assert world.champion() == "v1.0.0"
    everybody_serves(story, "v1.0.0")


def test_a_rolled_back_canary_is_tried_and_promoted_again_and_the_event_tells_of_everybody(story):
    world = live(story, 1)
    version = candidate(story)
    for _ in range(2):
        done(story, "start canary", version)
        done(story, "promote canary", version)
        assert set(world.serving().values()) == {version}
        done(story, "roll back", PREVIOUS)
    assert events(story).count("CanaryPromotedEvent") == 2
    assert trying(story) == set()


def test_a_trial_ends_where_a_replica_served_the_rollbacks_target_already(story):
    """One replica did not take the forced version: going back exchanges nothing there."""
    world = live(story, 1)
    done(story, "start canary", candidate(story))
    world.fleet.forgets = {"replica-1"}
    refused(story, Unconfirmed, "replica-1 serves v1.0.0", "force", "v1.1.0")
    ask(story, "roll back", "v1.0.0")
    ask(story, "roll back", PREVIOUS)
    assert trying(story) == set()
    everybody_serves(story, "v1.0.0")


def test_a_trial_goes_on_everywhere_after_its_promotion_was_undone(story):
    """A replica that took part in the promotion says of its canary that it was promoted."""
    world = live(story, 1)
    version = candidate(story)
    done(story, "start canary", version)
    ask(story, "promote canary", version, trouble=Trouble("hangs", 7))
    assert isinstance(ask(story, "promote canary", version), Unconfirmed)
    everybody_serves(story, "v1.0.0")
    assert done(story, "judge canary", version).decision == "wait"
    assert [seen.running for seen in world.fleet.canaries(LAUNDRY)] == [True, True]
    done(story, "promote canary", version)
    everybody_serves(story, version)


@pytest.mark.parametrize("name", ["replica-1", "replica-2"])
def test_a_canary_that_a_replica_threw_out_while_an_approval_waited_is_not_promoted(story, name):
    world = live(story, 1)
    done(story, "start canary", candidate(story))
    story.see_harm(name)
    world.later(hours=20)
    refused(story, CanaryDidHarm, f"{name} threw v1.1.0 out: 3 errors in a row", "promote canary", "v1.1.0")
    everybody_serves(story, "v1.0.0")
    assert trying(story) == set() and "CanaryAbortedEvent" in events(story)
    refused(story, CanaryEnded, "its trial was aborted by the replicas", "promote canary", "v1.1.0")


def test_a_canary_that_does_harm_while_its_promotion_is_prepared_is_not_promoted(story):
    world = live(story, 1)
    done(story, "start canary", candidate(story))
    prepare = world.fleet.prepare

    def meanwhile_harm(*of):
        story.see_harm("replica-2")
        return prepare(*of)

    world.fleet.prepare = meanwhile_harm
    refused(story, CanaryDidHarm, "replica-2", "promote canary", "v1.1.0")
    everybody_serves(story, "v1.0.0")


@pytest.mark.parametrize("missed", [1, 2], ids=["before it is prepared", "after it was prepared"])
def test_while_a_replica_cannot_be_asked_whether_it_threw_the_canary_out_nobody_else_gets_it(story, missed):
    world = live(story, 1)
    done(story, "start canary", candidate(story))
    canaries, looks = world.fleet.canaries, count(1)

    def missing_one(model_type):
        """It answers everything else."""
        world.fleet.hung = {"replica-2"} if next(looks) == missed else set()
        try:
            return canaries(model_type)
        finally:
            world.fleet.hung = set()

    world.fleet.canaries = missing_one
    refused(story, ServiceUnavailable, "replica-2 does not answer", "promote canary", "v1.1.0")
    everybody_serves(story, "v1.0.0")
    done(story, "promote canary", "v1.1.0")
    everybody_serves(story, "v1.1.0")


def test_a_replica_that_restarts_remembers_that_it_threw_the_canary_out(story):
    world = live(story, 1)
    done(story, "start canary", candidate(story))
    story.see_harm("replica-2")
    story.restart("replica-2")
    verdict = done(story, "judge canary", "v1.1.0")
    assert (verdict.decision, verdict.reason) == ("abort", "replica-2: 3 errors in a row")
    assert not world.fleet.replicas["replica-2"].seen().running


def test_a_canary_that_ends_a_process_twice_is_not_given_back_a_third_time(story):
    live(story, 1)
    done(story, "start canary", candidate(story))
    for name in ("replica-1", "replica-2"):
        story.restart(name)
        assert done(story, "judge canary", "v1.1.0").decision == "wait"
    assert trying(story) == {"v1.1.0"}
    story.restart("replica-2")
    verdict = done(story, "judge canary", "v1.1.0")
    assert (verdict.decision, verdict.reason) == ("abort", "replica-2: ended twice while it tried v1.1.0")
    refused(story, CanaryDidHarm, "replica-2 threw v1.1.0 out: ended twice", "promote canary", "v1.1.0")
    everybody_serves(story, "v1.0.0")


@pytest.mark.parametrize("again", ["start canary", "judge canary"])
def test_what_a_replica_saw_is_not_forgotten_by_going_on_with_the_trial(story, again):
    world = live(story, 1)
    start = story.request("start canary", candidate(story))
    story.perform(start)
    world.fleet.restart("replica-1")
    story.see_harm("replica-2")
    story.perform(start) if again == "start canary" else done(story, again, "v1.1.0")
    assert [seen.harm for seen in world.fleet.canaries(LAUNDRY)] == [False, True]


@pytest.mark.parametrize("old", [False, True], ids=["replicas of now", "replicas of an earlier release"])
@pytest.mark.parametrize("call", range(1, 13))
def test_a_trial_is_spared_when_the_promotion_of_another_version_is_undone(story, call, old):
    world = live(story, 1)
    version, other = candidate(story), candidate(story)
    done(story, "start canary", version)
    ask(story, "promote", other, trouble=Trouble("dies", call, after=True))
    for replica in [one for one in world.fleet.replicas.values() if old and one.concluded]:
        replica.concluded = replace(replica.concluded, verdict="aborted")
    world.fleet.down = set()
    done(story, "reconcile")
    if world.champion() == other:
        assert set(world.serving().values()) == {other}
        return
    everybody_serves(story, "v1.0.0")
    assert done(story, "judge canary", version).decision == "wait"
    assert [seen.tries(version) for seen in world.fleet.canaries(LAUNDRY)] == [True, True]
    done(story, "promote canary", version)
    everybody_serves(story, version)


def test_an_abort_that_a_rollback_overtook_is_told(story):
    world = live(story, 2)
    done(story, "start canary", candidate(story))
    world.fleet.down = {"replica-2"}
    refused(story, ServiceUnavailable, "may still be on trial", "abort canary", "v1.2.0")
    done(story, "roll back", PREVIOUS)
    assert events(story).count("CanaryAbortedEvent") == 1
    world.fleet.down = set()
    done(story, "reconcile")
    assert events(story).count("CanaryAbortedEvent") == 1 and trying(story) == set()


def test_a_run_whose_canary_somebody_promotes_meanwhile_is_concluded_as_deployed(story):
    live(story, 1)
    version = candidate(story)
    done(story, "start canary", version)
    promotion = story.request("promote canary", version)
    assert ask(story, "conclude", version, trouble=Trouble("meanwhile", 3), meanwhile=promotion) == "deployed"
    everybody_serves(story, version)


@pytest.mark.parametrize("served_by", [1, 2], ids=["one replica", "both replicas"])
def test_aborting_a_canary_whose_promotion_nobody_confirmed_leaves_no_doubt_about_what_serves(story, served_by):
    world = live(story, 1)
    version = candidate(story)
    done(story, "start canary", version)
    killed = ask(story, "promote canary", version, trouble=Trouble("killed", _activating(story), after=True))
    assert isinstance(killed, Killed) and set(world.serving().values()) == {version}
    if served_by == 1:
        world.fleet.put_back(LAUNDRY, "v1.0.0", ["replica-2"])
    assert done(story, "abort canary", version) is True
    everybody_serves(story, "v1.0.0")


def _activating(story):
    """The number of the call that activates, of a promotion of the canary."""
    counted = Fault()
    calls = []
    other = Story(StatefulWorld())
    live(other, 1)
    done(other, "start canary", candidate(other))
    activate = other.world.fleet.activate
    other.world.fleet.activate = lambda *of: (calls.append(counted.calls), activate(*of))[1]
    other.request("promote canary", "v1.1.0").run(other.world, counted)
    return calls[0]
