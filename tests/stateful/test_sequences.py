"""Sequences of acts that once put the wrong model live, or said what was not so: one test each, a sentence."""

import pytest

from pipeline.domain.errors import (
    CanaryEnded,
    NotBlessed,
    RegistryBehind,
    ServiceUnavailable,
    StaleTransition,
    Unconfirmed,
    UnknownVersion,
)
from pipeline.domain.models import Status
from pipeline.domain.transitions import Kind, Phase
from tests.fakes.faults import Fault, Killed
from tests.fakes.fleet import Accident
from tests.stateful.acts import PREVIOUS
from tests.stateful.asking import ask, candidate, done, events, everybody_serves, live, refused
from tests.stateful.machine import Story, Trouble
from tests.stateful.world import StatefulWorld
from tests.unit.pipeline.steps.live_world import LAUNDRY

# Going back


def test_the_monitor_never_goes_to_what_a_person_took_down(story):
    world = live(story, 3)
    done(story, "roll back", PREVIOUS)
    world.metrics.agreed["v1.1.0"] = 60
    assert done(story, "watch").change.kind is Kind.ROLLBACK_AUTO
    everybody_serves(story, "v1.0.0")


def test_nor_to_what_a_person_took_down_by_naming_a_version_that_was_jumped_over(story):
    world = live(story, 3)
    done(story, "roll back", "v1.0.0")
    done(story, "promote", candidate(story))
    done(story, "roll back", "v1.1.0")
    world.metrics.agreed["v1.1.0"] = 60
    done(story, "watch")
    everybody_serves(story, "v1.0.0")


def test_previous_pressed_twice_goes_two_steps_back(story):
    live(story, 3)
    for target in ("v1.1.0", "v1.0.0"):
        done(story, "roll back", PREVIOUS)
        everybody_serves(story, target)
    refused(story, UnknownVersion, "no previous one", "roll back", PREVIOUS)


def test_previous_does_not_come_back_to_what_it_has_just_taken_down(story):
    live(story, 2)
    done(story, "force", "v1.0.0")
    done(story, "roll back", PREVIOUS)
    refused(story, UnknownVersion, "no previous one", "roll back", PREVIOUS)
    everybody_serves(story, "v1.1.0")


def test_two_open_changes_to_the_same_version_come_true_once(story):
    """A forced change and a rollback to the same version, neither confirmed, and a third request that finds both."""
    world = live(story, 2)
    world.fleet.forgets = {"replica-2"}
    refused(story, Unconfirmed, "replica-2 serves v1.1.0", "force", "v1.0.0")
    world.fleet.hung = {"replica-1"}
    refused(story, ServiceUnavailable, "no replica could be brought back", "roll back", PREVIOUS)
    assert len(world.ledger.unsettled) == 2
    world.fleet.wake("replica-1", late=False)
    refused(story, StaleTransition, "after this rollback was asked for", "roll back", PREVIOUS)
    everybody_serves(story, "v1.0.0")
    assert len(world.ledger.changes) == 3


def test_the_monitor_does_not_go_back_and_forth_between_two_bad_versions(story):
    world = live(story, 2)
    for version in ("v1.1.0", "v1.0.0"):
        world.metrics.agreed[version] = 60
        done(story, "watch")
    everybody_serves(story, "v1.0.0")


def test_a_rollback_while_a_promotion_is_prepared_waits_for_nothing_and_overtakes_it(story):
    live(story, 2)
    version = candidate(story)
    for at in range(1, 60):
        rollback = story.request("roll back", "v1.0.0")
        answer = ask(story, "promote", version, trouble=Trouble("meanwhile", at), meanwhile=rollback)
        assert set(story.other.waited_for) <= {"champion of LAUNDRY"}
        if hasattr(answer, "change"):
            break
        assert isinstance(answer, StaleTransition)
        everybody_serves(story, "v1.0.0")
        done(story, "roll back", "v1.1.0")
    everybody_serves(story, "v1.0.0")


@pytest.mark.parametrize("hangs", [True, False], ids=["hung", "dead"])
def test_a_rollback_brings_the_healthy_replica_back_and_stays_a_problem_until_the_other_returns(story, hangs):
    world = live(story, 2)
    (world.fleet.hung if hangs else world.fleet.down).add("replica-2")
    changed = done(story, "roll back", PREVIOUS)
    assert set(changed.swap.missing) == {"replica-2"}
    assert world.serving()["replica-1"] == "v1.0.0"
    assert "RollbackIncompleteEvent" in events(story)
    assert "not every replica came back" in done(story, "watch").problem
    everybody_serves(story, "v1.0.0")
    assert done(story, "watch").problem is None


def test_a_replica_that_was_away_asks_the_registry_before_it_is_ready(story):
    world = live(story, 2)
    world.fleet.down = {"replica-2"}
    done(story, "roll back", PREVIOUS)
    story.restart("replica-2")
    assert world.serving()["replica-2"] == "v1.0.0"


def test_it_learns_of_the_rollback_although_the_registry_never_heard_of_the_promotion(story):
    world = live(story, 1)
    version = candidate(story)
    mirror, world.registry.mirror = world.registry.mirror, _away
    refused(story, RegistryBehind, "MLflow", "promote", version)
    world.registry.mirror = mirror
    world.fleet.down = {"replica-2"}
    done(story, "roll back", PREVIOUS)
    story.restart("replica-2")
    assert world.serving()["replica-2"] == "v1.0.0"


def _away(*args, **named):
    raise ServiceUnavailable("MLflow", "connection refused")


def test_a_promotion_needs_every_replica_but_those_a_person_took_out(story):
    world = live(story, 1)
    version = candidate(story)
    world.fleet.down = {"replica-2"}
    refused(story, ServiceUnavailable, "replica-2", "promote", version)
    everybody_serves(story, "v1.0.0")
    world.fleet.out = {"replica-2"}
    assert done(story, "promote", version).skipped == ("replica-2",)
    everybody_serves(story, version)


# What is said of an act


def test_a_swap_after_which_nobody_could_be_asked_is_unconfirmed_not_failed(story):
    world = live(story, 1)
    version = candidate(story)
    promotion = story.request("promote", version)
    # Both replicas prepare, tell what they serve, activate; the second one does and is silent from then on.
    world.fleet.accident = Accident(6, after=True, hangs=True)
    with pytest.raises(ServiceUnavailable):
        promotion.run(world, Fault())
    assert world.ledger.entries[-1].phase is Phase.UNCONFIRMED
    story.perform(type(promotion)("announce failure", version, promotion.id, promotion.at))
    assert events(story)[-1] == "HotSwapUnconfirmedEvent"
    everybody_serves(story, world.champion())


@pytest.mark.parametrize("serves", ["v1.0.0", "v1.1.0"])
def test_what_both_replicas_serve_decides_what_became_of_an_unconfirmed_swap(story, serves):
    world = live(story, 1)
    version = candidate(story)
    story.perform(story.request("promote", version), Trouble("killed", _first_call_after_activation(story, version)))
    assert set(world.serving().values()) == {version}
    if serves == "v1.0.0":
        artifact = world.versions.get(LAUNDRY, serves).artifact
        world.fleet.bring_back(LAUNDRY, serves, artifact)
    everybody_serves(story, serves)
    assert events(story).count("ModelDeployedEvent") == (2 if serves == version else 1)


def _first_call_after_activation(story, version):
    """Of the same promotion in a world of its own."""
    other = Story(StatefulWorld())
    live(other, 1)
    candidate(other)
    for at in range(1, 40):
        other.perform(other.request("promote", version), Trouble("killed", at))
        if set(other.world.serving().values()) == {version}:
            return at
        other.recover(late=False)
    raise AssertionError("it was never activated")


# What may go live


@pytest.mark.parametrize("verdict", ["refused", "held"])
def test_what_verification_did_not_accept_goes_live_by_a_persons_force_alone(story, verdict):
    world = live(story, 1)
    run = story.candidate(verdict)
    with pytest.raises(NotBlessed, match="was not accepted"):
        world.register(run)
    done(story, "force", run)
    everybody_serves(story, "v1.1.0")
    assert [c.kind for c in world.ledger.changes] == [Kind.PROMOTE, Kind.FORCED]
    assert world.outbox.pending()[-1].payload["forcedBy"] == "kim"


def test_what_a_person_approved_goes_live_as_usual(story):
    live(story, 1)
    done(story, "promote", candidate(story, "approved"))
    everybody_serves(story, "v1.1.0")


def test_an_archived_version_serves_again_after_it_was_restored(story):
    world = live(story, 3)
    done(story, "retire")
    assert world.versions.get(LAUNDRY, "v1.0.0").status is Status.ARCHIVED
    for kind in ("roll back", "promote", "start canary", "force"):
        refused(story, UnknownVersion, "is archived: restore it", kind, "v1.0.0")
    done(story, "restore", "v1.0.0")
    done(story, "roll back", "v1.0.0")
    everybody_serves(story, "v1.0.0")


def test_the_first_model_that_a_replica_out_of_rotation_may_serve_is_not_called_failed(story):
    world, version = story.world, candidate(story)
    world.fleet.forgets = {"replica-1"}
    refused(story, Unconfirmed, "replica-1 serves None", "promote", version)
    world.fleet.out = {"replica-2"}
    done(story, "reconcile")
    refused(story, Unconfirmed, "replica-2 is out of rotation", "promote", candidate(story))
    everybody_serves(story, version)


@pytest.mark.parametrize("kind", ["promote", "start canary", "promote canary", "force", "restore", "roll back"])
def test_a_version_that_nobody_knows_is_refused_with_a_sentence(story, kind):
    live(story, 1)
    assert isinstance(ask(story, kind, "v9.9.9"), (UnknownVersion, CanaryEnded))
    everybody_serves(story, "v1.0.0")


def test_a_freeze_that_is_cleared_while_somebody_goes_back_turns_nobody_away(story):
    world = live(story, 3)
    world.metrics.agreed["v1.2.0"] = 60
    done(story, "watch")
    clearing = story.request("clear freeze")
    done(story, "roll back", "v1.0.0", trouble=Trouble("meanwhile", 5), meanwhile=clearing)
    assert not isinstance(story.other.answer, BaseException)
    everybody_serves(story, "v1.0.0")


def test_a_request_that_was_killed_goes_on_when_it_is_delivered_again(story):
    live(story, 2)
    rollback = story.request(
        "roll back",
        PREVIOUS,
    )
    for at in range(1, 40):
        if not isinstance(story.perform(rollback, Trouble("killed", at)), Killed):
            break
        story.check()
    everybody_serves(story, "v1.0.0")
    assert events(story).count("ModelRolledBackEvent") == 1
