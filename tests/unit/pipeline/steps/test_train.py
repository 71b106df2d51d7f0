"""At most three attempts, each adjusted to what went wrong before."""

import hashlib
from contextlib import contextmanager

import pytest

from pipeline.domain.dataset import Manifest, Split
from pipeline.domain.errors import (
    DatasetRefused,
    ExperimentDeleted,
    GiveUp,
    RunBusy,
    ServiceRefused,
    ServiceUnavailable,
    TrainingNeedsPerson,
)
from pipeline.domain.models import ModelType
from pipeline.domain.training import RUNNING, Attempt, Hyperparameters
from pipeline.ports.bundles import Training
from pipeline.steps.blame_memory import blame_memory
from pipeline.steps.train import TrainingRequest, train
from tests.builders import NOW, a_dataset, a_photo
from tests.fakes.data import FakeDatasets, FakeErasures, FakeObjects
from tests.fakes.events import FakeClock, FakeOutbox
from tests.fakes.faults import Fault, Killed, every_fault
from tests.fakes.training import FakeExperiment, FakeExperiments, FakeTrainer, FakeTrainingRuns

LABELS = ("양호", "불량")
URI = "s3://datasets/DS-2026-001/"
NO_FAULT = Fault()
SETTINGS = Hyperparameters(batch_size=32, learning_rate=0.001)


class World:
    """One frozen dataset of two photos, the second of them held out."""

    def __init__(self, *failures):
        self.trainer = FakeTrainer(failures)
        self.datasets, self.objects = FakeDatasets(), FakeObjects({f"{URI}contact-sheet.png": b"picture"})
        self._freeze(self.datasets.begin("run-1", ModelType.LAUNDRY))
        self.experiments, self.runs, self.outbox = FakeExperiments(), FakeTrainingRuns(), FakeOutbox()
        self.epochs = []

    def _freeze(self, dataset_id):
        photos = (a_photo(1), a_photo(2, split=Split.HOLDOUT))
        manifest = Manifest(dataset_id, "LAUNDRY", LABELS, None, NOW.isoformat(), photos)
        body = manifest.to_json()
        self.objects.write(f"{URI}manifest.json", body)
        self.datasets.freeze(dataset_id, manifest, hashlib.sha256(body).hexdigest())
        self.datasets.complete(a_dataset(id=dataset_id, uri=URI))

    def train(self, fault=NO_FAULT, *, settings=SETTINGS, fresh=False, dataset_id="DS-2026-001", **asked):
        training = Training(
            trainer=self.trainer,
            experiments=self.experiments,
            runs=self.runs,
            datasets=self.datasets,
            erasures=FakeErasures(self.datasets),
            objects=self.objects,
            outbox=self.outbox,
            clock=FakeClock(),
            labels=LABELS,
            model_prefix="s3://models/",
        )
        request = TrainingRequest("run-1", dataset_id, settings, fresh, asked)
        return train(fault.on_ports(training, but=("clock",)), request, self.epochs.append)

    def tried(self):
        return [(j.hyperparameters.batch_size, j.hyperparameters.learning_rate) for j in self.trainer.jobs]


def test_a_training_is_logged_with_parameters_metrics_and_progress():
    world = World()
    result = world.train()
    (experiment,) = world.experiments.opened.values()
    assert result.experiment_run_id == experiment.id
    assert experiment.status == "finished"
    assert experiment.parameters["batch_size"] == "32"
    assert {"val_loss", "f1_score", "auc"} <= set(experiment.metrics)
    assert [e.number for e in world.epochs] == [1]


def test_each_attempt_leaves_its_reason_and_what_changes_with_the_run_and_the_experiment():
    world = World("diverged")
    world.train()
    first, second = world.runs.attempts("run-1")
    assert (first.cause, first.change) == ("diverged", "learning rate 0.001 → 0.0001")
    assert (second.cause, second.hyperparameters.learning_rate) == ("", pytest.approx(1e-4))
    assert world.experiments.opened["run-1/1"].notes["change"] == first.change
    assert [e.status for e in world.experiments.opened.values()] == ["failed", "finished"]


def test_pictures_of_the_dataset_stand_beside_the_figures_of_each_attempt():
    world = World("diverged")
    world.train()
    assert [e.files for e in world.experiments.opened.values()] == [{"contact-sheet.png": b"picture"}] * 2


def test_a_photo_that_was_held_out_is_refused_when_the_trainer_says_that_it_read_it():
    world = World()
    world.train()
    demand_unseen = world.trainer.jobs[0].demand_unseen
    demand_unseen(["TASK-00001"])
    with pytest.raises(DatasetRefused, match="TASK-00002"):
        demand_unseen(["TASK-00001", "TASK-00002"])


def test_a_manifest_that_was_changed_since_it_was_frozen_is_not_trained_on():
    world = World()
    world.objects.write(f"{URI}manifest.json", world.objects.read(f"{URI}manifest.json") + b" ")
    with pytest.raises(DatasetRefused, match="manifest.json is not what was recorded"):
        world.train()
    assert world.trainer.jobs == []


def test_out_of_memory_halves_the_batch():
    world = World("out_of_memory")
    world.train()
    assert world.tried() == [(32, 0.001), (16, 0.001)]


def test_a_tracker_that_goes_while_it_is_trained_costs_no_training(monkeypatch):
    def away(*told, **named):
        raise ServiceUnavailable("MLflow", "503 for a moment")

    world = World()
    for word in ("log_metrics", "log_parameters"):
        monkeypatch.setattr(FakeExperiment, word, away)
    result = world.train()
    assert world.runs.result("run-1") == result and len(world.trainer.jobs) == 1


def test_divergence_lowers_the_learning_rate():
    world = World("diverged", "diverged")
    world.train()
    assert world.tried() == [(32, 0.001), (32, pytest.approx(1e-4)), (32, pytest.approx(1e-5))]


def test_after_three_failures_a_person_is_asked_with_every_attempt_named():
    world = World("error", "out_of_memory", "diverged")
    with pytest.raises(TrainingNeedsPerson, match=r"attempt 1: error.*attempt 2: out_of_memory.*attempt 3: diverged"):
        world.train()
    assert len(world.trainer.jobs) == 3
    (event,) = world.outbox.pending()
    assert event.type == "TrainingFailedEvent"
    assert len(event.payload["attempts"]) == 3
    assert event.payload["link"] == "http://experiments/run-1"
    assert event.payload["message"].startswith("Training run-1 of the LAUNDRY model needs a person")


class AwayWhenTrainingFails(FakeExperiments):
    """The tracker took parameters and figures, and then nothing any more."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    @contextmanager
    def attempt(self, model_type, run_id, number):
        with super().attempt(model_type, run_id, number) as experiment:
            experiment.note = self.refuse
            yield experiment

    def link(self, model_type, run_id):
        self.refuse()

    def refuse(self, *anything):
        raise self.error


@pytest.mark.parametrize(
    "error", [ServiceUnavailable("MLflow", "refused"), ServiceRefused("MLflow", "rights"), ExperimentDeleted("gone")]
)
def test_a_tracker_that_is_away_when_training_fails_hides_neither_the_failure_nor_the_next_attempt(error):
    world = World("error", "out_of_memory", "diverged")
    world.experiments = AwayWhenTrainingFails(error)
    with pytest.raises(TrainingNeedsPerson, match=r"attempt 1: error.*attempt 2: out_of_memory.*attempt 3: diverged"):
        world.train()
    (event,) = world.outbox.pending()
    assert event.payload["link"] == f"the experiment tracker ({error})"


def test_too_little_data_is_not_tried_again():
    world = World("too_little_data")
    with pytest.raises(TrainingNeedsPerson, match="more photos are needed"):
        world.train()
    assert len(world.trainer.jobs) == 1


def test_each_attempt_has_checkpoints_of_its_own_under_the_runs_artifact():
    world = World("diverged")
    world.train()
    assert [j.checkpoint_uri for j in world.trainer.jobs] == [
        "s3://models/LAUNDRY/run-1/checkpoints/1/",
        "s3://models/LAUNDRY/run-1/checkpoints/2/",
    ]


def test_a_trained_run_is_not_trained_again():
    world = World()
    assert world.train() == world.train()
    assert len(world.trainer.jobs) == 1


@pytest.mark.parametrize("fault", every_fault(lambda fault: World("out_of_memory").train(fault)), ids=str)
def test_killed_at_any_call_a_rerun_ends_with_the_one_result(fault):
    world = World("out_of_memory")
    with pytest.raises(Killed):
        world.train(fault)
    result = world.train()
    assert world.runs.result("run-1") == result
    assert world.outbox.pending() == []


def test_the_failure_event_is_kept_once_though_the_task_runs_again():
    world = World(*["error"] * 6)
    for _ in range(2):
        with pytest.raises(TrainingNeedsPerson):
            world.train()
    assert world.outbox.types() == ["TrainingFailedEvent"]


def test_a_rerun_goes_on_with_the_attempt_it_was_killed_in():
    world = World("diverged")
    # Killed while the second attempt trains.
    world.trainer = Fault(at=2).on(world.trainer)
    with pytest.raises(Killed):
        world.train()
    assert [a.cause for a in world.runs.attempts("run-1")] == ["diverged", RUNNING]
    world.train()
    assert world.tried() == [(32, 0.001), (32, pytest.approx(1e-4))]


def test_a_run_whose_attempts_are_used_up_is_not_trained_again():
    world = World("too_little_data")
    for _ in range(2):
        with pytest.raises(TrainingNeedsPerson):
            world.train()
    assert len(world.trainer.jobs) == 1


def test_a_run_that_starts_anew_has_all_its_attempts_again():
    world = World("too_little_data")
    with pytest.raises(TrainingNeedsPerson):
        world.train()
    world.train(fresh=True)
    assert [job.fresh for job in world.trainer.jobs] == [False, True]
    assert list(world.experiments.opened) == ["run-1/1, set aside", "run-1/1"]
    assert [a.cause for a in world.runs.attempts("run-1")] == [""]


def test_a_trained_run_does_not_start_anew():
    world = World()
    world.train()
    with pytest.raises(GiveUp, match="run-1 has a trained model: start anew under another run id"):
        world.train(fresh=True)


def test_a_trained_run_has_learned_from_no_other_dataset():
    world = World()
    assert world.train() == world.train()
    with pytest.raises(GiveUp, match="^run run-1 has a model of DS-2026-001: name another one otherwise$"):
        world.train(dataset_id="DS-2026-002")


@pytest.mark.parametrize("asked", [{}, {"batch_size": 16}])
def test_a_run_goes_on_with_what_it_began_with_whatever_the_settings_say_by_now(asked):
    def killed(*_):
        raise Killed

    world = World()
    world.trainer.train = killed
    with pytest.raises(Killed):
        world.train(**asked)
    del world.trainer.train
    world.train(settings=Hyperparameters(batch_size=64, learning_rate=0.5), **asked)
    assert world.tried() == [(asked.get("batch_size", 32), 0.001)]


def test_other_hyperparameters_than_the_run_began_with_are_refused_by_name():
    world = World("too_little_data")
    with pytest.raises(TrainingNeedsPerson):
        world.train()
    with pytest.raises(GiveUp, match=r"run-1 began with other hyperparameters \(batch_size 32 → 64\).*--fresh"):
        world.train(batch_size=64)


def test_the_second_of_two_processes_with_one_run_is_told_to_come_back():
    world = World()
    with world.runs.exclusive("run-1"), pytest.raises(RunBusy):
        world.train()
    assert world.trainer.jobs == []
    world.train()


def test_a_training_killed_for_its_memory_goes_on_with_smaller_batches():
    world = World()
    world.runs.record("run-1", "DS-2026-001", Attempt(1, Hyperparameters(), RUNNING))
    ended = blame_memory("run-1", "DS-2026-001", "OOMKilled", runs=world.runs)
    assert (ended.cause, ended.detail, ended.change) == (
        "out_of_memory",
        "OOMKilled",
        "batch size 32 → 16, 2 batches a step",
    )
    world.train()
    assert world.tried() == [(16, 0.001)]


def test_memory_is_not_blamed_when_no_attempt_was_running():
    world = World()
    assert blame_memory("run-1", "DS-2026-001", "OOMKilled", runs=world.runs) is None
    world.train()
    assert blame_memory("run-1", "DS-2026-001", "OOMKilled", runs=world.runs) is None
    assert [a.cause for a in world.runs.attempts("run-1")] == [""]
