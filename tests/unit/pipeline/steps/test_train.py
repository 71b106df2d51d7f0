"""At most three attempts, each adjusted to what went wrong before."""

import pytest

from pipeline.domain.errors import TrainingNeedsPerson
from pipeline.domain.training import Hyperparameters
from pipeline.steps.train import train
from tests.builders import a_dataset
from tests.fakes.events import FakeClock, FakeOutbox
from tests.fakes.faults import Fault, Killed, every_fault
from tests.fakes.training import FakeExperiments, FakeTrainer, FakeTrainingRuns


class World:
    def __init__(self, *failures):
        self.trainer = FakeTrainer(failures)
        self.experiments, self.runs, self.outbox = FakeExperiments(), FakeTrainingRuns(), FakeOutbox()
        self.epochs = []

    def train(self, fault=None, **options):
        fault = fault or Fault()
        return train(
            "run-1",
            a_dataset(),
            labels=("양호", "불량"),
            hyperparameters=Hyperparameters(batch_size=32, learning_rate=0.001),
            artifact_uri="s3://models/LAUNDRY/run-1/",
            trainer=fault.on(self.trainer),
            experiments=fault.on(self.experiments),
            runs=fault.on(self.runs),
            outbox=fault.on(self.outbox),
            clock=FakeClock(),
            on_epoch=self.epochs.append,
            **options,
        )

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


def test_pictures_of_the_dataset_stand_beside_the_figures_of_each_attempt():
    world = World("diverged")
    world.train(files={"contact-sheet.png": b"picture"})
    assert [e.files for e in world.experiments.opened.values()] == [{"contact-sheet.png": b"picture"}] * 2


def test_the_trainer_is_told_whom_to_ask_about_what_it_reads():
    world, asked = World(), []
    world.train(demand_unseen=asked.append)
    world.trainer.jobs[0].demand_unseen({"TASK-1"})
    assert asked == [{"TASK-1"}]


def test_out_of_memory_halves_the_batch():
    world = World("out_of_memory")
    world.train()
    assert world.tried() == [(32, 0.001), (16, 0.001)]


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
