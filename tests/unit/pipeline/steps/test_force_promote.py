"""Forcing a model live: a person answers for it by name, and the load test is never skipped."""

from dataclasses import replace

import pytest

from pipeline.domain.blessing import Blessing, OverrideKind
from pipeline.domain.checks import Check, Outcome
from pipeline.domain.errors import GiveUp, ModelRefused, NotBlessed, UnknownVersion
from pipeline.domain.models import Kind, ModelType, Status
from pipeline.domain.verification import VerificationPolicy
from pipeline.ports.bundles import Registration
from pipeline.steps.force_promote import force_promote
from pipeline.steps.hot_swap import hot_swap
from pipeline.steps.register import register
from tests.builders import MANIFEST, MANIFEST_SHA256, NOW, a_performance, a_training_result
from tests.fakes.data import FakeObjects
from tests.fakes.deployment import FakeFleet, FakeRegistry, FakeTransitions, FakeVersions
from tests.fakes.events import FakeClock, FakeOutbox
from tests.fakes.faults import Fault, Killed, every_fault
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings

LAUNDRY = ModelType.LAUNDRY
TOO_WEAK = Check("holdout_accuracy", Outcome.FAILED, 0.7, 0.88, 200, "holdout_accuracy 0.7, ≥ 0.88 needed (n=200)")


class World:
    """v1.0.0 serves; the run `bad` was measured, and refused for its accuracy."""

    def __init__(self, **performance):
        self.outbox, self.versions, self.runs = FakeOutbox(), FakeVersions(), FakeTrainingRuns()
        self.transitions = FakeTransitions(self.versions, self.outbox)
        self.fleet, self.registry, self.blessings = FakeFleet(), FakeRegistry(), FakeBlessings(self.outbox)
        self.objects = FakeObjects()
        self._judged("good", accepted=True, checks=VerificationPolicy().judge_performance(a_performance()))
        hot_swap(LAUNDRY, self._registered("good"), actor="DAG", reason="first", **self._deployment(None))
        load = VerificationPolicy().judge_performance(a_performance(**performance))
        self._judged("bad", accepted=False, checks=(TOO_WEAK, *load))

    def _judged(self, run_id, *, accepted, checks):
        result = a_training_result(run_id, dataset_id=f"dataset-of-{run_id}")
        self.runs.succeed(result)
        self.objects.write(f"{result.artifact_uri}manifest.json", MANIFEST)
        self.blessings.granted[run_id] = Blessing(
            id=f"blessing:{run_id}",
            run_id=run_id,
            model_type=LAUNDRY,
            accepted=accepted,
            reasons=tuple(c.reason for c in checks if c.outcome is Outcome.FAILED),
            checks=checks,
            champion_version=None,
            first_model=True,
            artifact_manifest_sha256=MANIFEST_SHA256,
            dataset_sha256="d" * 64,
            thresholds_sha256="t" * 64,
            report_uri="s3://models/report.json",
            decided_at=NOW,
        )

    def _registered(self, run_id):
        result = self.runs.results[run_id]
        registration = Registration(
            self.versions, self.transitions, self.runs, self.blessings, self.registry, self.objects, {}
        )
        return register(LAUNDRY, result, registration).version

    def force(self, wanted="bad", *, actor="kim", reason="drill", request="request-1", fault=None):
        return force_promote(
            LAUNDRY,
            wanted,
            request_id=request,
            actor=actor,
            reason=reason,
            runs=self.runs,
            objects=self.objects,
            tags={"git_commit": "abc"},
            **self._deployment(fault),
        )

    def _deployment(self, fault):
        fault = fault or Fault()
        return {
            "versions": fault.on(self.versions),
            "blessings": fault.on(self.blessings),
            "transitions": fault.on(self.transitions),
            "fleet": fault.on(self.fleet),
            "registry": fault.on(self.registry),
            "clock": FakeClock(),
        }

    def demand_one_story(self, champion):
        assert {s.version for s in self.fleet.serving(LAUNDRY)} == {champion}
        assert self.transitions.served(LAUNDRY)[-1].to_version == champion
        assert self.registry.aliases[LAUNDRY]["champion"] == champion


def test_a_refused_run_goes_live_on_a_persons_word_and_everything_says_so():
    world = World()
    world.force()
    world.demand_one_story("v1.1.0")
    transition = world.transitions.served(LAUNDRY)[-1]
    assert (transition.kind, transition.actor, transition.reason) == (Kind.FORCED, "kim", "drill")
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
        hot_swap(LAUNDRY, "v1.1.0", actor="lee", reason="again", **world._deployment(None))


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
    world.versions.rows[LAUNDRY, "v1.0.0"] = replace(world.versions.rows[LAUNDRY, "v1.0.0"], status=Status.ARCHIVED)
    with pytest.raises(UnknownVersion, match="restore it"):
        world.force("v1.0.0", request="request-2")


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
    assert len(world.transitions.served(LAUNDRY)) == 2
    assert len(world.blessings.overrides) == 1
