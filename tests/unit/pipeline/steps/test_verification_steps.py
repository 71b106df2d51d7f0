"""Verify and decide: candidate and champion on the same photos, then one verdict for ever."""

import json

import pytest

from pipeline.domain.dataset import Manifest, Split
from pipeline.domain.errors import GiveUp
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.verification import VerificationPolicy
from pipeline.steps.decide import decide
from pipeline.steps.verify import verify_accuracy, verify_performance
from tests.builders import a_dataset, a_model_version, a_performance, a_photo
from tests.fakes.data import FakeObjects, FakePhotos
from tests.fakes.events import FakeClock, FakeOutbox
from tests.fakes.faults import Fault, Killed, every_fault
from tests.fakes.verification import FakeBlessings, FakeChecks, FakeTrialServer

LABELS = ("양호", "불량")
CANDIDATE = Artifact("s3://models/LAUNDRY/run-1/", "a" * 64)
CHAMPION = a_model_version("v1.0.0")


class World:
    """Forty photos; the candidate is right on all of them, the champion on half, unless told otherwise."""

    def __init__(self, *, candidate_wrong=0, champion=CHAMPION, **performance):
        splits = [Split.VALIDATION] * 20 + [Split.HOLDOUT] * 20
        rows = tuple(a_photo(n, split=splits[n], label=LABELS[n % 2]) for n in range(40))
        self.manifest = Manifest("DS-2026-001", "LAUNDRY", LABELS, None, None, rows)
        self.photos = FakePhotos({r.photo_url: r.task_id.encode() for r in rows})
        truth = {r.task_id.encode(): r.label for r in rows}
        candidate = {body: LABELS[0] if i < candidate_wrong else label for i, (body, label) in enumerate(truth.items())}
        old = dict.fromkeys(truth, LABELS[0])
        self.champion = champion
        self.trials = FakeTrialServer({"run-1": candidate, "v1.0.0": old}, a_performance(**performance))
        self.outbox = FakeOutbox()
        self.blessings = FakeBlessings(self.outbox)
        self.checks = FakeChecks(self.blessings)
        self.objects = FakeObjects()

    def verify(self, fault=None):
        fault = fault or Fault()
        both = {
            "candidate": CANDIDATE,
            "manifest": self.manifest,
            "policy": VerificationPolicy(),
            "photos": self.photos,
            "trials": fault.on(self.trials),
            "checks": fault.on(self.checks),
        }
        verify_accuracy("run-1", ModelType.LAUNDRY, champion=self.champion, objects=fault.on(self.objects), **both)
        verify_performance("run-1", ModelType.LAUNDRY, requests=100, concurrency=4, **both)

    def decide(self, fault=None):
        fault = fault or Fault()
        return decide(
            "run-1",
            a_dataset(),
            labels=LABELS,
            candidate=CANDIDATE,
            policy=VerificationPolicy(),
            checks=fault.on(self.checks),
            blessings=fault.on(self.blessings),
            objects=fault.on(self.objects),
            clock=FakeClock(),
        )


def test_a_candidate_that_is_better_in_everything_is_accepted():
    world = World()
    world.verify()
    blessing = world.decide()
    assert blessing.accepted and blessing.reasons == ()
    assert (blessing.champion_version, blessing.artifact_manifest_sha256) == ("v1.0.0", "a" * 64)
    assert world.outbox.pending() == []


def test_candidate_and_champion_answer_for_the_same_photos_and_the_answers_are_kept():
    world = World()
    world.verify()
    kept = json.loads(world.objects.read(f"{CANDIDATE.uri}predictions.json"))
    tasks = [p["task_id"] for p in kept["holdout"]]
    assert tasks == [p["task_id"] for p in kept["champion_holdout"]]
    assert tasks == [p.task_id for p in world.manifest.of(Split.HOLDOUT)]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"candidate_wrong": 10}, "validation_accuracy"),
        ({"mean_latency_ms": 201.0}, "mean_latency_ms"),
        ({"memory_bytes": 2_000_000_001}, "memory_bytes"),
        ({"throughput_per_second": 49.0}, "throughput_per_second"),
        ({"gpu_utilization": 0.81}, "gpu_utilization"),
    ],
)
def test_a_candidate_that_misses_one_condition_is_refused_and_the_event_says_why(changes, complaint):
    world = World(**changes)
    world.verify()
    blessing = world.decide()
    assert not blessing.accepted
    (event,) = world.outbox.pending()
    assert event.type == "ModelVerificationFailedEvent"
    assert any(complaint in reason for reason in event.payload["reasons"])
    assert world.objects.exists(event.payload["report"])


def test_a_candidate_no_better_than_the_champion_is_refused():
    world = World()
    world.trials.answers["v1.0.0"] = world.trials.answers["run-1"]
    world.verify()
    (reason,) = world.decide().reasons
    assert "more than 1.0000 of champion v1.0.0 needed" in reason


def test_the_first_model_needs_no_champion():
    world = World(champion=None)
    world.verify()
    blessing = world.decide()
    assert blessing.accepted and blessing.first_model


def test_a_check_that_did_not_run_is_a_refusal():
    world = World()
    world.verify()
    del world.checks.saved["run-1"]["performance"]
    assert "mean_latency_ms was not measured" in world.decide().reasons


def test_without_any_check_there_is_no_verdict():
    with pytest.raises(GiveUp, match="run verify before decide"):
        World().decide()


def test_the_verdict_never_changes():
    world = World(candidate_wrong=10)
    world.verify()
    refused = world.decide()
    world.trials.answers["run-1"] = dict(World().trials.answers["run-1"])
    world.verify()
    assert world.decide() == refused


def both(world, fault=None):
    world.verify(fault)
    world.decide(fault)


@pytest.mark.parametrize("fault", every_fault(lambda fault: both(World(candidate_wrong=10), fault)), ids=str)
def test_killed_at_any_call_a_rerun_gives_one_verdict_and_one_event(fault):
    world = World(candidate_wrong=10)
    with pytest.raises(Killed):
        both(world, fault)
    both(world)
    blessing = world.blessings.of_run("run-1")
    assert not blessing.accepted
    assert world.outbox.types() == ["ModelVerificationFailedEvent"]
