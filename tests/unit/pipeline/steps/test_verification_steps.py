"""Verify and decide: candidate and champion on the same photos, then one verdict for ever."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest

from pipeline.domain.blessing import Verdict
from pipeline.domain.dataset import Split
from pipeline.domain.errors import DatasetRefused, GiveUp, ServiceUnavailable
from pipeline.domain.models import ModelType
from pipeline.steps.contest import Contest
from pipeline.steps.verify_accuracy import verify_accuracy
from tests.builders import MANIFEST_SHA256, a_dataset, a_model_version, a_performance
from tests.fakes.faults import Fault, Killed, every_fault, unavailable
from tests.fakes.verification import FakeTrial
from tests.unit.pipeline.steps.verification_world import CANDIDATE, CHAMPION, NO_FAULT, World


def test_a_candidate_that_is_better_in_everything_is_accepted():
    world = World()
    blessing = world.judge()
    assert (blessing.accepted, blessing.verdict, blessing.reasons) == (True, Verdict.PROMOTE, ())
    assert (blessing.champion_version, blessing.artifact_manifest_sha256) == ("v1.0.0", MANIFEST_SHA256)
    assert (blessing.git_commit, blessing.code_version) == ("abc", "def")
    assert world.outbox.pending() == []


def test_the_report_tells_the_accuracy_of_the_verdict():
    world = World(candidate_wrong=2)
    blessing = world.judge()
    assert json.loads(world.objects.read(blessing.report_uri))["accuracy"] == blessing.accuracy == 19 / 20
    assert world.experiments.opened["mlflow-1"].metrics["verify.validation_accuracy"] == blessing.accuracy


def test_the_report_tells_how_corrections_for_each_reason_are_answered():
    world = World(candidate_wrong=2)
    more = world.photo(90, label="불량", corrected=True, split=Split.HELD_OUT_CORRECTIONS, reasons=("흙",))
    photos = tuple(replace(p, reasons=("얼룩",)) if p.corrected else p for p in world.manifest.photos)
    world.manifest = replace(world.manifest, photos=(*photos, replace(more, reasons=("얼룩", "흙"))))
    world.photos.bodies[more.photo_url] = more.task_id.encode()
    world.trials.answers["run-1"][more.task_id.encode()] = "불량"
    report = json.loads(world.objects.read(world.judge().report_uri))
    # Of the two that the candidate gets wrong one was a correction.
    assert report["by_reason"] == [
        {"reason": "얼룩", "photos": 21, "right": 20},
        {"reason": "흙", "photos": 1, "right": 1},
    ]


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


def slow(throughput):
    return a_performance(throughput_per_second=throughput, mean_latency_ms=4000 / throughput)


@pytest.mark.parametrize(
    ("candidate", "champion", "verdict"),
    [
        # The machine is busy, and the champion no faster on it.
        ([22.9], [24.0], Verdict.PROMOTE),
        ([15.0], [15.5], Verdict.PROMOTE),
        # The machine can do it: the candidate is slow.
        ([22.9], [64.7], Verdict.REJECT),
        # It can do it by now, and so can the candidate.
        ([22.9, 64.7], [64.7], Verdict.PROMOTE),
        # Slower than the champion wherever it runs.
        ([20.0], [24.0], Verdict.REJECT),
        ([15.0], [0.01], Verdict.PROMOTE),
    ],
)
def test_a_slow_candidate_is_judged_beside_the_champion_in_the_same_minutes(candidate, champion, verdict):
    world = World()
    world.trials.performances = {"run-1": [slow(t) for t in candidate], "v1.0.0": [slow(t) for t in champion]}
    assert world.judge().verdict is verdict


def test_what_the_champion_had_in_the_same_minutes_is_said():
    world = World()
    world.trials.performances = {"run-1": [slow(22.9)], "v1.0.0": [slow(24.0)]}
    (check,) = [c for c in world.judge().checks if c.name == "throughput_per_second"]
    assert (check.value, check.bar) == (22.9, 50)
    assert check.reason == (
        "throughput_per_second 22.9, ≥ 50 needed (n=1000); the champion had 24 in the same minutes: the machine cannot "
        "do it now: 90% of the champion's speed needed"
    )


def test_a_fast_candidate_needs_no_champion_to_be_measured_beside():
    world = World()
    world.verify()
    assert world.trials.served == ["run-1", "v1.0.0", "run-1"]


def test_a_first_model_that_is_slow_has_the_floor_alone():
    world = World(champion=None, throughput_per_second=22.9)
    assert world.judge().verdict is Verdict.REJECT


def test_a_champion_that_does_not_load_excuses_no_slow_candidate():
    world = World(throughput_per_second=22.9)
    world.trials.refused["v1.0.0"] = "its files are gone"
    assert any("throughput_per_second 22.9" in reason for reason in world.judge().reasons)


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


def test_a_candidate_that_does_not_load_is_no_first_model_where_a_champion_serves():
    world = World()
    world.trials.refused["run-1"] = "golden predictions differ"
    blessing = world.judge()
    assert (blessing.first_model, blessing.champion_version) == (False, "v1.0.0")


@pytest.mark.parametrize("changes", [{"candidate_wrong": 0}, {"candidate_wrong": 40}])
def test_cleared_after_the_verdict_verification_leaves_its_evidence_as_it_was(changes):
    world = World(**changes)
    verdict = world.judge()
    kept = dict(world.objects.bodies)
    world.champion, world.trials.answers["run-1"] = a_model_version("v1.1.0"), {}
    world.verify()
    assert world.objects.bodies == kept and world.checks.of("run-1") == list(verdict.checks)


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


def test_a_photo_that_went_or_was_exchanged_since_judges_neither_model():
    world = World()
    first, held = world.manifest.photos[0], world.manifest.of(Split.HOLDOUT)[3]
    del world.photos.bodies[first.photo_url]
    world.photos.bodies[held.photo_url] = b"another photo"
    assert world.judge().accepted
    kept = json.loads(world.objects.read(f"{CANDIDATE.uri}predictions.json"))
    for name, missing in (("validation", first.task_id), ("holdout", held.task_id)):
        asked = [p["task_id"] for p in kept[name]]
        assert len(asked) == 19 and missing not in asked
        assert asked == [p["task_id"] for p in kept[f"champion_{name}"]]


def test_a_photo_that_goes_between_the_two_models_judges_neither():
    world = World()
    bodies, gone = world.photos.bodies, world.manifest.photos[5]
    read = world.photos.read

    class Leaving:
        reads = 0

        def read(self, url):
            self.reads += 1
            if self.reads > len(bodies):
                bodies.pop(gone.photo_url, None)
            return read(url)

    world.photos = Leaving()
    world.verify()
    kept = json.loads(world.objects.read(f"{CANDIDATE.uri}predictions.json"))
    assert [p["task_id"] for p in kept["validation"]] == [p["task_id"] for p in kept["champion_validation"]]
    assert len(kept["validation"]) == 19


def test_many_photos_gone_leave_no_fair_sample_and_are_named():
    world = World()
    for photo in world.manifest.photos[:3]:
        del world.photos.bodies[photo.photo_url]
    with pytest.raises(
        DatasetRefused,
        match=r"3 of 40 photos to judge by cannot be had any more \(5% allowed\): TASK-00000: no photo at",
    ):
        world.verify()
    assert world.checks.of("run-1") == []


def test_only_a_few_photos_are_in_memory_however_many_there_are():
    world, alive, most = World(), 0, 0
    read = world.photos.read

    class Counting:
        def read(self, url):
            nonlocal alive, most
            alive += 1
            most = max(most, alive)
            return read(url)

    class Forgetting(FakeTrial):
        def classify(self, photos):
            nonlocal alive
            labels = []
            for photo in photos:
                labels += super().classify([photo])
                alive -= 1
            return labels

    world.photos = Counting()
    world.trials.trial = Forgetting
    verify_accuracy(world.verification(), Contest("run-1", ModelType.LAUNDRY, CANDIDATE, CHAMPION, world.manifest))
    assert len(world.manifest.natural) == 40 and most <= 10


def test_photos_that_became_wrong_are_shown():
    world = World(candidate_wrong=2)
    world.trials.answers["v1.0.0"] = {**world.trials.answers["v1.0.0"], b"TASK-00001": "불량"}
    world.judge()
    assert world.printer.sheets == [["TASK-00001"]]
    sheet = world.experiments.opened["mlflow-1"].files["negative-flips.png"]
    assert sheet == world.objects.read(f"{CANDIDATE.uri}negative-flips.png") == b"PNG of TASK-00001: TASK-00001"


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


# Killed


def both(world, fault=NO_FAULT):
    world.verify(fault)
    world.decide(fault)


@pytest.mark.parametrize("error", [Killed, unavailable("MLflow")], ids=["killed", "unavailable"])
@pytest.mark.parametrize("fault", every_fault(lambda fault: both(World(candidate_wrong=10), fault)), ids=str)
def test_stopped_at_any_call_a_rerun_gives_one_verdict_one_event_and_the_report(fault, error):
    fault, world = Fault(fault.at, fault.after, error), World(candidate_wrong=10)
    # What decides nothing goes without a service that is away.
    with pytest.raises(Killed) if error is Killed else suppress(ServiceUnavailable):
        both(world, fault)
    both(world)
    blessing = world.blessings.of_run("run-1")
    assert not blessing.accepted
    assert world.outbox.types() == ["ModelVerificationFailedEvent"]
    assert "verification-report.html" in world.experiments.opened["mlflow-1"].files


def test_a_browser_shows_everything_that_people_open_of_a_verdict():
    world = World()
    world.judge()
    assert world.objects.saved_only() == []


def test_a_server_that_answers_for_fewer_photos_than_it_was_asked_about_proves_nothing():
    world = World()
    world.trials.answers["run-1"] = {}
    with pytest.raises((KeyError, ValueError)):
        world.verify()


def test_a_verdict_names_everything_it_was_about():
    blessing, dataset = World().judge(), a_dataset()
    assert (blessing.id, blessing.run_id, blessing.model_type) == ("blessing:run-1", "run-1", dataset.model_type)
    assert (blessing.champion_version, blessing.first_model) == ("v1.0.0", False)
    assert (blessing.artifact_manifest_sha256, blessing.dataset_sha256) == (MANIFEST_SHA256, dataset.sha256)
    assert (blessing.git_commit, blessing.code_version, blessing.advice) == ("abc", "def", "")
    assert blessing.report_uri == f"{CANDIDATE.uri}verification-report.json"
