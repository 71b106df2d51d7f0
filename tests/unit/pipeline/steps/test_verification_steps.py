"""Verify, decide, approve: candidate and champion on the same photos, then one verdict for ever."""

import json
from dataclasses import replace

import pytest

from pipeline.domain.blessing import Verdict, WhenInconclusive
from pipeline.domain.comparison import ComparisonPolicy
from pipeline.domain.dataset import Manifest, Split
from pipeline.domain.errors import DatasetRefused, GiveUp, NotBlessed
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.verification import VerificationPolicy
from pipeline.steps.approve import approve
from pipeline.steps.decide import decide
from pipeline.steps.retry import retry
from pipeline.steps.verify import Contest, verify_accuracy, verify_performance
from tests.builders import MANIFEST_SHA256, a_dataset, a_model_version, a_performance, a_photo, a_training_result
from tests.fakes.data import FakeObjects, FakePhotos
from tests.fakes.events import FakeClock, FakeOutbox
from tests.fakes.faults import Fault, Killed, every_fault, unavailable
from tests.fakes.training import FakeExperiments, FakeTrainingRuns
from tests.fakes.verification import FakeBlessings, FakeChecks, FakePrinter, FakeTrialServer

LABELS = ("양호", "불량")
CANDIDATE = Artifact("s3://models/LAUNDRY/run-1/", "a" * 64)
CHAMPION = a_model_version("v1.0.0")
# Twenty photos a split prove what thousands would in earnest.
POLICY = VerificationPolicy(min_support=5, comparison=ComparisonPolicy(min_holdout_photos=20, max_gain=0.5))


class World:
    """Forty photos; the candidate is right on all of them, the champion on half, unless told otherwise."""

    def __init__(self, *, candidate_wrong=0, champion=CHAMPION, policy=POLICY, **performance):
        splits = [Split.VALIDATION] * 20 + [Split.HOLDOUT] * 20
        # What the champion gets wrong is what people corrected.
        rows = tuple(a_photo(n, split=splits[n], label=LABELS[n % 2], corrected=bool(n % 2)) for n in range(40))
        self.manifest = Manifest("DS-2026-001", "LAUNDRY", LABELS, None, None, rows)
        self.photos = FakePhotos({r.photo_url: r.task_id.encode() for r in rows})
        truth = {r.task_id.encode(): r.label for r in rows}
        candidate = {body: LABELS[0] if i < candidate_wrong else label for i, (body, label) in enumerate(truth.items())}
        self.trials = FakeTrialServer(
            {"run-1": candidate, "v1.0.0": dict.fromkeys(truth, LABELS[0])}, a_performance(**performance)
        )
        self.champion, self.policy, self.printer = champion, policy, FakePrinter()
        self.outbox, self.experiments = FakeOutbox(), FakeExperiments()
        self.blessings = FakeBlessings(self.outbox)
        self.checks = FakeChecks(self.blessings)
        said = {body.decode(): label for body, label in candidate.items()}
        self.objects = FakeObjects({f"{CANDIDATE.uri}trainer-predictions.json": json.dumps(said).encode()})

    def verify(self, fault=None):
        fault = fault or Fault()
        contest = Contest("run-1", ModelType.LAUNDRY, CANDIDATE, self.champion, self.manifest)
        both = {
            "policy": self.policy,
            "photos": self.photos,
            "trials": fault.on(self.trials),
            "checks": fault.on(self.checks),
        }
        verify_accuracy(contest, objects=fault.on(self.objects), printer=self.printer, **both)
        verify_performance(contest, requests=100, concurrency=4, **both)

    def decide(self, fault=None, when_inconclusive=WhenInconclusive.FLOORS):
        fault = fault or Fault()
        return decide(
            a_training_result("run-1", experiment_run_id="mlflow-1"),
            a_dataset(),
            labels=LABELS,
            policy=self.policy,
            when_inconclusive=when_inconclusive,
            checks=fault.on(self.checks),
            blessings=fault.on(self.blessings),
            objects=fault.on(self.objects),
            printer=self.printer,
            experiments=fault.on(self.experiments),
            clock=FakeClock(),
        ).blessing

    def judge(self, **how):
        self.verify()
        return self.decide(**how)

    def approve(self, *, actor="kim", reason="looked"):
        return approve("run-1", actor=actor, reason=reason, blessings=self.blessings, clock=FakeClock())


def test_a_candidate_that_is_better_in_everything_is_accepted():
    world = World()
    blessing = world.judge()
    assert (blessing.accepted, blessing.verdict, blessing.reasons) == (True, Verdict.PROMOTE, ())
    assert (blessing.champion_version, blessing.artifact_manifest_sha256) == ("v1.0.0", MANIFEST_SHA256)
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
    assert world.judge().verdict is Verdict.REJECT
    (event,) = world.outbox.pending()
    assert event.type == "ModelVerificationFailedEvent"
    assert any(complaint in reason for reason in event.payload["reasons"])
    assert complaint in event.payload["summary"] and event.payload["advice"] in event.payload["summary"]
    assert world.objects.exists(event.payload["report"])


def test_a_candidate_no_better_than_the_champion_is_refused():
    world = World()
    world.trials.answers["v1.0.0"] = world.trials.answers["run-1"]
    (reason,) = world.judge().reasons
    assert "more than 1.0000 of champion v1.0.0 needed" in reason


def test_the_first_model_needs_no_champion_and_its_rubber_stamp_says_so():
    blessing = World(champion=None).judge()
    assert blessing.accepted and blessing.first_model
    assert any("rubber-stamped" in check.reason for check in blessing.checks)


def test_a_candidate_that_does_not_load_is_refused_for_that_alone():
    world = World()
    world.trials.refused["run-1"] = "golden predictions differ"
    blessing = world.judge()
    assert blessing.reasons == ("the model server refuses this model: golden predictions differ",)
    assert world.outbox.types() == ["ModelVerificationFailedEvent"]
    assert "look at the export" in blessing.advice


def test_a_champion_whose_artifact_is_gone_cannot_be_beaten_and_the_way_out_is_named():
    world = World()
    world.trials.refused["v1.0.0"] = "no artifact at s3://models/LAUNDRY/run-of-v1.0.0/"
    (reason,) = world.judge().reasons
    assert "no artifact at" in reason and "force-promote" in reason


def test_a_server_that_answers_otherwise_than_the_trainer_is_refused():
    world = World()
    said = json.loads(world.objects.read(f"{CANDIDATE.uri}trainer-predictions.json"))
    said |= dict.fromkeys(list(said)[:8:2], "불량")
    world.objects.write(f"{CANDIDATE.uri}trainer-predictions.json", json.dumps(said).encode())
    (reason,) = world.judge().reasons
    assert reason.startswith("server and trainer give the same verdict on 80.0% of 20 photos")


def test_without_the_trainers_answers_nothing_is_accepted():
    world = World()
    del world.objects.bodies[f"{CANDIDATE.uri}trainer-predictions.json"]
    assert "of 0 photos" in world.judge().reasons[0]


def test_training_and_evaluation_that_overlap_stop_the_run():
    world = World()
    twin = replace(world.manifest.photos[0], task_id="TASK-99999", split=Split.TRAIN)
    world.manifest = replace(world.manifest, photos=(*world.manifest.photos, twin))
    with pytest.raises(DatasetRefused, match="cannot be verified on"):
        world.verify()
    assert world.checks.saved == {}


def test_an_empty_holdout_is_refused():
    world = World()
    world.manifest = replace(world.manifest, photos=world.manifest.of(Split.VALIDATION))
    assert any("holdout_accuracy could not be measured" in reason for reason in world.judge().reasons)


def test_photos_that_became_wrong_are_shown():
    world = World(candidate_wrong=2)
    world.trials.answers["v1.0.0"] = {**world.trials.answers["v1.0.0"], b"TASK-00001": "불량"}
    world.judge()
    assert world.printer.sheets == [["TASK-00001"]]
    assert world.experiments.opened["mlflow-1"].files["negative-flips.png"] == b"PNG"


def test_the_report_lies_beside_the_artifact_and_in_the_experiment_tracker():
    world = World()
    world.judge()
    shown = world.experiments.opened["mlflow-1"]
    assert shown.files["verification-report.html"] == world.objects.read(f"{CANDIDATE.uri}verification-report.html")
    assert shown.metrics["verify.holdout_accuracy"] == 1.0
    report = json.loads(world.objects.read(f"{CANDIDATE.uri}verification-report.json"))
    assert (report["verdict"], report["hyperparameters"]["epochs"]) == ("promote", 50)


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
    refused = world.judge()
    world.trials.answers["run-1"] = dict(World().trials.answers["run-1"])
    assert world.judge() == refused


# A person decides


def unproven(**changes):
    """Good on every floor, on too few photos to prove it."""
    return World(policy=VerificationPolicy(min_support=5, comparison=ComparisonPolicy(max_gain=0.5)), **changes)


def test_what_is_not_proven_is_accepted_by_the_floors_unless_a_person_is_asked():
    by_floors, by_person = unproven().judge(), unproven().judge(when_inconclusive=WhenInconclusive.APPROVAL)
    assert (by_floors.accepted, by_floors.verdict) == (True, Verdict.INCONCLUSIVE)
    assert (by_person.accepted, by_person.held, by_person.verdict) == (False, True, Verdict.INCONCLUSIVE)
    assert "100 photos are needed" in by_person.reasons[0] and by_floors.doubts == by_person.reasons


def test_a_held_run_goes_on_with_a_persons_word_and_the_verdict_stays():
    world = unproven()
    held = world.judge(when_inconclusive=WhenInconclusive.APPROVAL)
    assert world.outbox.types() == ["ModelVerificationHeldEvent"] and not held.may_be_registered
    approved = world.approve()
    assert approved.approved and approved.may_be_registered
    assert (approved.accepted, approved.override.actor) == (False, "kim")
    assert world.decide() == approved


def test_a_gain_too_good_to_be_true_waits_for_a_person_whatever_the_setting():
    blessing = World(policy=replace(POLICY, comparison=ComparisonPolicy(min_holdout_photos=20))).judge()
    assert blessing.held and "look for a leak" in blessing.reasons[0]


@pytest.mark.parametrize(("changes", "state"), [({}, "accepted"), ({"candidate_wrong": 10}, "refused")])
def test_only_what_was_held_can_be_approved(changes, state):
    world = World(**changes)
    world.judge()
    with pytest.raises(NotBlessed, match=f"was {state}: nothing to approve"):
        world.approve()


def test_nobody_approves_without_a_name_and_a_reason_or_before_the_verdict():
    world = unproven()
    with pytest.raises(NotBlessed, match="has no verdict"):
        world.approve()
    world.judge(when_inconclusive=WhenInconclusive.APPROVAL)
    for said in ({"actor": ""}, {"reason": "  "}):
        with pytest.raises(GiveUp, match="needs an actor and a reason"):
            world.approve(**said)
    assert world.blessings.overrides == {}


# Once more with other hyperparameters


def retried(world, run_id="run-1", **facts):
    runs = FakeTrainingRuns({}, {run_id: a_training_result(run_id, **facts)})
    return retry(run_id, blessings=world.blessings, runs=runs)


def test_a_refusal_that_other_hyperparameters_may_mend_is_tried_again_with_them():
    world = World(candidate_wrong=10)
    world.judge()
    following = retried(world, epochs_completed=50)
    assert (following["run_id"], following["hyperparameters"]) == ("retry-of-run-1", {"epochs": 100})
    assert "run-1 was refused: it was still learning" in following["reason"]


def test_three_attempts_are_enough():
    world = World(candidate_wrong=10)
    refused = world.judge()
    for run_id, again in (("retry-of-run-1", True), ("retry-of-retry-of-run-1", False)):
        world.blessings.granted[run_id] = refused
        assert bool(retried(world, run_id, epochs_completed=50)) is again


@pytest.mark.parametrize(
    ("world", "facts"),
    [(World(candidate_wrong=10), {}), (World(), {"epochs_completed": 50})],
    ids=["more data is needed", "accepted"],
)
def test_nothing_is_tried_again_for_nothing(world, facts):
    assert retried(world, **facts) is None
    world.judge()
    assert retried(world, **facts) is None


# Killed


def both(world, fault=None):
    world.verify(fault)
    world.decide(fault)


@pytest.mark.parametrize("error", [Killed, unavailable("MLflow")], ids=["killed", "unavailable"])
@pytest.mark.parametrize("fault", every_fault(lambda fault: both(World(candidate_wrong=10), fault)), ids=str)
def test_stopped_at_any_call_a_rerun_gives_one_verdict_one_event_and_the_report(fault, error):
    fault, world = Fault(fault.at, fault.after, error), World(candidate_wrong=10)
    with pytest.raises(type(error())):
        both(world, fault)
    both(world)
    blessing = world.blessings.of_run("run-1")
    assert not blessing.accepted
    assert world.outbox.types() == ["ModelVerificationFailedEvent"]
    assert "verification-report.html" in world.experiments.opened["mlflow-1"].files
