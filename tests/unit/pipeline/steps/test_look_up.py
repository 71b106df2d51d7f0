"""What earlier steps left: the champion, until when it learned, and what is compared with it."""

import json

import pytest

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset import Split, set_aside
from pipeline.domain.errors import GiveUp
from pipeline.domain.learned import Learned
from pipeline.domain.models import Artifact, ModelType
from pipeline.ports.bundles import Records
from pipeline.steps.contest import contest_of
from pipeline.steps.learned_by_champion import learned_by_champion
from pipeline.steps.look_up import served_before, trained
from tests.builders import a_model_version, a_training_result
from tests.fakes.deployment import FakeTransitions, FakeVersions
from tests.fakes.training import FakeTrainingRuns
from tests.histories import a_history
from tests.unit.pipeline.steps.dataset_world import World as DataWorld

LAUNDRY = ModelType.LAUNDRY


class World(DataWorld):
    """One dataset that the runs `run-1` and `run-2` were trained on."""

    def __init__(self):
        super().__init__()
        self.collect()
        self.prepare()
        self.runs, self.versions = FakeTrainingRuns(), FakeVersions()
        self.transitions = FakeTransitions(self.versions)
        for run_id in ("run-1", "run-2"):
            self.runs.succeed(a_training_result(run_id))

    def records(self):
        return Records(self.runs, self.datasets, self.versions, self.transitions, self.objects, "s3://datasets/")

    def serve(self, version="v1.0.0"):
        champion = self.versions.register(a_model_version(version, run_id="run-1"))
        self.transitions.ledgers[LAUNDRY] = a_history(f"promote {version}")
        return champion


def test_before_the_first_champion_every_correction_is_new():
    assert learned_by_champion(World().records(), LAUNDRY) == Learned(None, {})


def test_corrections_are_new_from_when_the_champions_dataset_ended():
    world = World()
    world.serve()
    learned = learned_by_champion(world.records(), LAUNDRY)
    assert learned == Learned(max(task.confirmed_at for task in world.source.rows), {})


def test_what_the_champion_was_asked_about_is_known_of_it():
    world = World()
    folder = ArtifactFolder(world.serve().artifact.uri)
    world.objects.write(folder.earlier_answers, json.dumps({"TASK-1": "불량"}).encode())
    assert learned_by_champion(world.records(), LAUNDRY).said == {"TASK-1": "불량"}


def test_a_run_without_a_trained_model_says_what_to_do_first():
    with pytest.raises(GiveUp, match="run-3 has no trained model: run train first"):
        trained(World().records(), "run-3")


def test_a_candidate_is_compared_with_the_champion_on_its_own_datasets_photos():
    world = World()
    assert contest_of(world.records(), "run-2").champion is None
    champion = world.serve()
    contest = contest_of(world.records(), "run-2")
    result = world.runs.result("run-2")
    assert (contest.run_id, contest.champion) == ("run-2", champion)
    assert contest.candidate == Artifact(result.artifact_uri, result.manifest_sha256)
    assert contest.manifest == world.manifest()
    assert contest.earlier == ()


def test_a_photo_that_went_before_the_dataset_was_made_judges_nobody():
    """Else a share of them that the dataset may lack was refused after hours of training."""
    world = World()
    gone = world.manifest().of(Split.VALIDATION)[:3]
    world.datasets.lose(world.manifest(), [set_aside(photo, "no photo at its address", "unusable") for photo in gone])
    judging = contest_of(world.records(), "run-2").manifest.natural
    assert set(judging) == set(world.manifest().natural) - set(gone)


def test_what_served_before_the_champion_is_named_once_the_last_first():
    world = World()
    names = ["v1.0.0", "v1.1.0", "v1.2.0", "v1.1.0", "v1.3.0"]
    for name in {*names, "v1.9.0"}:
        world.versions.register(a_model_version(name, run_id=f"run of {name}"))
    world.transitions.append(
        world.transitions.ledger(LAUNDRY), *a_history(*(f"promote {name}" for name in names)).entries
    )
    before = served_before(LAUNDRY, world.transitions, world.versions)
    assert [version.version for version in before] == ["v1.1.0", "v1.2.0", "v1.0.0"]
