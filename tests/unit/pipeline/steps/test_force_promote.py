"""Forcing a model live: a person answers for it by name, and the load test is never skipped."""

from dataclasses import replace

import pytest

from pipeline.domain.blessing import OverrideKind
from pipeline.domain.errors import (
    GiveUp,
    ModelRefused,
    NotBlessed,
    PromotionFrozen,
    ServiceUnavailable,
    Unconfirmed,
    UnknownVersion,
)
from pipeline.domain.transitions import By, Kind
from pipeline.steps.answer_held import approve, refuse
from tests.fakes.faults import Killed, every_fault
from tests.unit.pipeline.steps import live_world
from tests.unit.pipeline.steps.live_world import TOO_WEAK


class World(live_world.World):
    """v1.0.0 serves; the run `bad` was measured, and refused for its accuracy."""

    def __init__(self, **performance):
        super().__init__()
        self.live("good")
        self.accept("bad", accepted=False, **performance)

    def force(self, wanted="bad", **said):
        return super().force(wanted, **said)


def test_a_refused_run_goes_live_on_a_persons_word_and_everything_says_so():
    world = World()
    world.force()
    world.demand_one_story("v1.1.0")
    change = world.ledger.changes[-1]
    assert (change.kind, change.by.actor, change.by.reason) == (Kind.FORCED, "kim", "drill")
    tags = world.registry.tags["v1.1.0"]
    assert (tags["forced_by"], tags["forced_because"], tags["git_commit"]) == ("kim", "drill", "abc")
    assert world.outbox.pending()[-1].payload["forcedBy"] == "kim"


def test_the_verdict_stays_as_it_was_with_the_override_beside_it():
    world = World()
    world.force()
    blessing = world.blessings.of_run("bad")
    assert not blessing.accepted and blessing.reasons == (TOO_WEAK.reason,)
    assert (blessing.override.kind, blessing.override.actor) == (OverrideKind.FORCED, "kim")


def test_what_was_forced_once_does_not_go_live_again_in_the_ordinary_way():
    world = World()
    world.force()
    with pytest.raises(NotBlessed):
        world.hot_swap("v1.1.0")


def test_an_earlier_version_is_forced_by_its_number():
    world = World()
    world.force()
    world.force("v1.0.0", request="request-2")
    world.demand_one_story("v1.0.0")


@pytest.mark.parametrize(
    ("performance", "complaint"),
    [({"mean_latency_ms": 300.0}, "mean_latency_ms 300"), ({"memory_bytes": 3_000_000_000}, "memory_bytes")],
)
def test_not_even_force_puts_a_model_live_that_failed_the_load_test(performance, complaint):
    world = World(**performance)
    with pytest.raises(NotBlessed, match=complaint):
        world.force()
    world.demand_one_story("v1.0.0")
    assert world.blessings.overrides == {}


def test_not_even_force_puts_a_model_live_that_was_not_measured():
    world = World()
    world.blessings.granted["bad"] = replace(world.blessings.granted["bad"], checks=(TOO_WEAK,))
    with pytest.raises(NotBlessed, match="mean_latency_ms was not measured"):
        world.force()


def test_the_replicas_still_prepare_and_may_refuse():
    world = World()
    world.fleet.refuses.add("v1.1.0")
    with pytest.raises(ModelRefused, match="golden predictions differ"):
        world.force()
    world.demand_one_story("v1.0.0")
    assert world.blessings.overrides == {} and "forced_by" not in world.registry.tags["v1.1.0"]


def hang(world):
    """Nobody can tell what became of a promotion."""
    version = world.candidate("third")
    world.fleet.forgets = {"replica-1"}
    with pytest.raises(Unconfirmed):
        world.hot_swap(version)
    world.fleet.hung = {"replica-1"}


def freeze(world):
    world.live("second")
    world.confirm(40, 60)
    world.automatic()


@pytest.mark.parametrize(("trouble", "refusal"), [(hang, Unconfirmed), (freeze, PromotionFrozen)])
def test_a_force_that_is_refused_leaves_no_trace_and_the_run_can_still_be_approved(trouble, refusal):
    world = World()
    trouble(world)
    world.blessings.granted["bad"] = replace(world.blessings.granted["bad"], held=True)
    before = (dict(world.versions.rows), list(world.registry.registered), world.ledger.entries)
    with pytest.raises(refusal):
        world.force()
    assert (dict(world.versions.rows), list(world.registry.registered), world.ledger.entries) == before
    assert world.blessings.overrides == {}
    approved = approve("bad", live_world.by("lees"), blessings=world.blessings, clock=world.clock)
    assert approved.approved


def test_a_force_that_the_replicas_refused_leaves_the_run_to_be_approved_and_promoted():
    world = World()
    world.blessings.granted["bad"] = replace(world.blessings.granted["bad"], held=True, champion_version="v1.0.0")
    world.fleet.down = {"replica-2"}
    with pytest.raises(ServiceUnavailable):
        world.force()
    world.fleet.down.clear()
    approve("bad", live_world.by("lees"), blessings=world.blessings, clock=world.clock)
    world.hot_swap(world.register("bad"))
    world.demand_one_story("v1.1.0")
    assert world.ledger.changes[-1].kind is Kind.PROMOTE


@pytest.mark.parametrize("said", [{"actor": " "}, {"reason": ""}])
def test_nobody_forces_without_a_name_and_a_reason(said):
    world = World()
    with pytest.raises(GiveUp, match="needs an actor and a reason"):
        world.force(**said)
    assert world.blessings.overrides == {}


@pytest.mark.parametrize(
    ("wanted", "error", "complaint"),
    [
        ("unknown-run", NotBlessed, "has no LAUNDRY verdict"),
        ("v9.9.9", UnknownVersion, "no version"),
        ("v1.0.0", UnknownVersion, "serves already"),
        ("'; DROP TABLE blessings", NotBlessed, "has no LAUNDRY verdict"),
    ],
)
def test_what_cannot_be_forced_is_named(wanted, error, complaint):
    with pytest.raises(error, match=complaint):
        World().force(wanted)


def test_a_face_verdict_forces_no_laundry_model():
    world = World()
    world.blessings.granted["bad"] = replace(world.blessings.granted["bad"], model_type="FACE")
    with pytest.raises(NotBlessed, match="has no LAUNDRY verdict"):
        world.force()


def test_an_archived_version_must_be_restored_first():
    world = World()
    world.force()
    world.archive_by_the_log("v1.0.0")
    with pytest.raises(UnknownVersion, match="restore it"):
        world.force("v1.0.0", request="request-2")


def test_what_one_person_refused_and_another_forces_serves_under_the_name_of_who_forced_it():
    world = World()
    world.blessings.granted["bad"] = replace(world.blessings.granted["bad"], held=True)
    refuse("bad", By("lee", "looks wrong", "r1"), blessings=world.blessings, clock=world.clock)
    world.force()
    blessing = world.blessings.of_run("bad")
    assert (blessing.override.kind, blessing.override.actor, blessing.refused) == (OverrideKind.FORCED, "kim", False)
    with pytest.raises(NotBlessed, match="forced by kim before"):
        refuse("bad", By("lee", "still wrong", "r2"), blessings=world.blessings, clock=world.clock)


def test_files_that_were_not_judged_cannot_be_forced():
    world = World()
    world.blessings.granted["bad"] = replace(world.blessings.granted["bad"], artifact_manifest_sha256="b" * 64)
    with pytest.raises(NotBlessed, match="about other files"):
        world.force()
    world.demand_one_story("v1.0.0")
    assert world.blessings.overrides == {}


@pytest.mark.parametrize("fault", every_fault(lambda fault: World().force(fault=fault)), ids=str)
def test_killed_at_any_call_and_asked_again_it_is_forced_once(fault):
    world = World()
    with pytest.raises(Killed):
        world.force(fault=fault)
    world.force()
    world.demand_one_story("v1.1.0")
    assert len(world.ledger.changes) == 2
    assert len(world.blessings.overrides) == 1
