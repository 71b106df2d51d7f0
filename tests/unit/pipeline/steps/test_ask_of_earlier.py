"""What a new model says to earlier corrections that it did not learn from, for the next dataset."""

import json
from dataclasses import replace

import psycopg2
import pytest

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset import Split
from pipeline.domain.errors import ServiceRefused, ServiceUnavailable
from pipeline.domain.lineage import Erased
from pipeline.domain.models import ModelType
from pipeline.domain.selection import SelectionPolicy
from pipeline.steps.ask_of_earlier import ask_of_earlier
from pipeline.steps.contest import Contest
from tests.builders import NOW, a_blessing, a_task
from tests.fakes.data import BYTES, FakeCorrectionSource, FakeObjects, FakePhotos
from tests.unit.pipeline.steps.dataset_world import LABELS
from tests.unit.pipeline.steps.dataset_world import World as DataWorld
from tests.unit.pipeline.steps.verification_world import CANDIDATE
from tests.unit.pipeline.steps.verification_world import World as VerificationWorld

FEW = SelectionPolicy(min_train_photos=0, sample_limit=1, history_limit=0, correction_limit=8, earlier_limit=20)


class World(DataWorld):
    """A model that learned from a few of twenty corrections, and says that every garment is clean."""

    def __init__(self, policy=FEW):
        super().__init__()
        self.policy = policy
        self.collect(policy=policy)
        self.verification = VerificationWorld()
        self.verification.objects = self.objects
        self.verification.photos = self.photos
        self.verification.trials.answers["run-1"] = dict.fromkeys(self.photos.bodies.values(), LABELS[0])

    def ask(self):
        contest = Contest("run-1", ModelType.LAUNDRY, CANDIDATE, None, self.manifest())
        ask_of_earlier(self.verification.verification(), contest, self.sources(self.policy))
        return self.kept()

    def kept(self):
        uri = ArtifactFolder(CANDIDATE.uri).earlier_answers
        return json.loads(self.objects.read(uri)) if self.objects.exists(uri) else None

    @property
    def left(self):
        """Corrections that could be learned from and were not; nobody looked at them, so nobody knows their side."""
        learned = {p.task_id for p in self.manifest().photos}
        return {t.task_id for t in self.source.rows if t.corrected and t.task_id not in learned}


def test_a_new_model_is_asked_about_the_earlier_corrections_that_it_did_not_learn_from():
    world = World()
    assert len(world.left) > 5
    assert world.ask() == dict.fromkeys(world.left, LABELS[0])


def test_a_correction_that_came_in_later_is_none_of_before():
    world = World()
    before = world.left
    world.source.rows.append(a_task(99, corrected=True, confirmed_at=NOW.replace(year=NOW.year + 1)))
    assert world.ask().keys() == before


def test_of_more_than_it_is_asked_about_those_that_differ_most_are_asked():
    world = World(replace(FEW, asked_of_earlier=3))
    assert len(world.ask()) == 3
    assert World(replace(FEW, asked_of_earlier=0)).ask() == {}


def test_what_is_only_judged_by_is_not_asked_about():
    """It is never learned from, and would take the place of one that is."""
    world = World()
    second = world.collect(run_id="run-2")
    judged = {p.task_id for p in world.manifest(f"s3://datasets/{second}/").photos if p.split is not Split.TRAIN}
    assert world.left & judged and world.left - judged
    assert world.ask().keys() == world.left - judged


@pytest.mark.parametrize("fault", ["erased", "copied", "gone", "unreadable", "odd"])
def test_a_photo_that_cannot_be_asked_about_costs_no_other_one_its_answer(fault):
    world = World()
    one, *others = sorted(world.left)
    at = next(n for n, t in enumerate(world.source.rows) if t.task_id == one)
    task = world.source.rows[at]
    match fault:
        case "erased":
            world.erasures.record(Erased(one, (), "kim", "asked for it", NOW))
        case "copied":
            body = world.photos.bodies[task.photo_url]
            hashes = (world.inspector.fingerprint(body).sha256,)
            world.erasures.record(Erased("TASK-GONE", hashes, "kim", "asked for it", NOW))
        case "gone":
            del world.photos.bodies[task.photo_url]
        case "unreadable":
            world.photos.bodies[task.photo_url] = b"bad photo"
        case "odd":
            world.source.rows[at] = replace(task, final_result="보류")
    assert world.ask().keys() == set(others)


@pytest.mark.parametrize("fault", ["model", "server", "source", "query", "bucket"])
def test_a_model_that_cannot_be_asked_is_none_the_worse_for_it(fault, caplog):
    world = World()
    match fault:
        case "model":
            world.verification.trials.refused["run-1"] = "it does not load"
        case "server":
            world.verification.trials.away = ServiceUnavailable("the trial server", "no memory")
        case "source":
            world.source = Refusing(world.source.rows, ServiceRefused("the Helper database", "permission denied"))
        case "query":
            world.source = Refusing(world.source.rows, psycopg2.errors.DataException("date out of range"))
        case "bucket":
            world.verification.objects = Full(world.objects.bodies)
    assert world.ask() is None
    assert "what this model forgot is not known" in caplog.text


def test_storage_that_is_away_ends_no_run(caplog):
    world = World()
    world.verification.photos = Away()
    assert world.ask() is None
    assert "is unavailable" in caplog.text


def test_after_the_verdict_the_answers_stay():
    world = World()
    before = world.ask()
    world.verification.blessings.grant(a_blessing("run-1"), None)
    world.verification.trials.answers["run-1"] = dict.fromkeys(world.photos.bodies.values(), LABELS[1])
    assert world.ask() == before


class Refusing(FakeCorrectionSource):
    def __init__(self, rows, error):
        super().__init__(rows)
        self.error = error

    def earlier_corrections(self, *, until, limit):
        raise self.error


class Full(FakeObjects):
    def write(self, uri, body, content_type=BYTES):
        raise ServiceUnavailable("S3", "503 slow down")


class Away(FakePhotos):
    def read(self, url):
        raise ServiceUnavailable("S3", "connection refused")
