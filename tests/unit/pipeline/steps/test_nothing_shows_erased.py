"""From collecting to the verdict: whenever a photo is erased, and whatever is killed, afterwards nothing shows it."""

import copy
import functools
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.artifact_folder import FLIPS, REPORT_PAGE, ArtifactFolder
from pipeline.domain.dataset import Split
from pipeline.domain.errors import DatasetRefused, GiveUp, PhotosErased
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.selection import SelectionPolicy
from pipeline.domain.training import Hyperparameters
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Training
from pipeline.steps.contest import Contest
from pipeline.steps.decide import decide
from pipeline.steps.erase_photo import erase_photo
from pipeline.steps.report_verdict import report_verdict
from pipeline.steps.train import TrainingRequest, train
from pipeline.steps.verify_accuracy import verify_accuracy
from tests.fakes.deployment import FakeVersions
from tests.fakes.events import FakeClock
from tests.fakes.faults import Both, Fault, Killed, every_fault
from tests.fakes.training import FakeExperiments, FakeTrainer, FakeTrainingRuns
from tests.unit.pipeline.steps import verification_world
from tests.unit.pipeline.steps.dataset_world import LABELS, NO_FAULT, URI, forgetting
from tests.unit.pipeline.steps.dataset_world import World as DataWorld

MODEL = ArtifactFolder("s3://models/LAUNDRY/run-1/")
CACHE = MODEL.features("ResNet50-abc") + "train-00000000.npy"


class Trainer(FakeTrainer):
    """Keeps what it computed of every image."""

    def __init__(self, objects):
        super().__init__()
        self.objects = objects

    def train(self, job, on_epoch, experiment):
        try:
            shards = [self.objects.read(uri) for uri in self.objects.list(f"{job.dataset.uri}shards/")]
        except KeyError as gone:
            raise DatasetRefused(f"{gone} is missing") from None
        self.objects.write(CACHE, b"".join(shards))
        job.forget_erased(CACHE)
        return super().train(job, on_epoch, experiment)


class Tracker:
    """Also what is said to an open run is a call to a port."""

    def __init__(self, experiments, fault):
        self.experiments, self.fault = experiments, fault

    def __getattr__(self, name):
        return getattr(self.fault.on(self.experiments), name)

    @contextmanager
    def attempt(self, model_type, run_id, number):
        with self.experiments.attempt(model_type, run_id, number) as experiment:
            yield self.fault.on(experiment)


class World(DataWorld):
    """Tasks, their dataset, a model of it and its verdict, which shows two photos that became wrong."""

    def __init__(self):
        super().__init__()
        self.confirm(range(20))
        self.collect()
        natural = self.manifest().natural
        self.train_task = self.manifest().of(Split.TRAIN)[0].task_id
        self.wrong = (natural[0].task_id, natural[1].task_id)
        self.reviewer.task_ids = (self.train_task, self.wrong[0])
        self.objects.bodies.clear()
        self.restore_database()
        self.runs, self.versions, self.experiments = FakeTrainingRuns(), FakeVersions(), FakeExperiments()
        self.judged = verification_world.World()
        truth = {self.photos.bodies[t.photo_url]: t.final_result for t in self.source.rows}
        said = {body: LABELS[label == LABELS[0]] if self._is_wrong(body) else label for body, label in truth.items()}
        self.judged.trials.answers |= {"run-1": said, verification_world.CHAMPION.version: truth}
        self.judged.experiments = self.experiments

    def _is_wrong(self, body):
        return body.decode().removeprefix("photo ") in self.wrong

    def collect(self, *args, **changes):
        return super().collect(*args, **changes, policy=SelectionPolicy(min_train_photos=5))

    def train(self, fault):
        training = Training(
            trainer=Trainer(fault.on(self.objects)),
            experiments=self.experiments,
            runs=self.runs,
            datasets=self.datasets,
            erasures=self.erasures,
            objects=self.objects,
            outbox=self.judged.outbox,
            clock=FakeClock(),
            labels=LABELS,
            model_prefix="s3://models/",
        )
        watched = fault.on_ports(training, but=("clock", "trainer"))
        watched = replace(watched, experiments=Tracker(self.experiments, fault))
        train(watched, TrainingRequest("run-1", "DS-2026-001", Hyperparameters()), lambda epoch: None)

    def verification(self, fault):
        self.judged.photos, self.judged.objects, self.judged.erasures = self.photos, self.objects, self.erasures
        return self.judged.verification(fault)

    def verify(self, fault):
        result = self.runs.result("run-1")
        candidate = Artifact(result.artifact_uri, result.manifest_sha256)
        champion = verification_world.CHAMPION
        contest = Contest("run-1", ModelType.LAUNDRY, candidate, champion, self.manifest())
        verify_accuracy(self.verification(fault), contest)

    def decide(self, fault):
        v, result, dataset = self.verification(fault), self.runs.result("run-1"), self.datasets.get("DS-2026-001")
        report_verdict(v, decide(v, result, dataset), result, dataset)

    @property
    def steps(self):
        return (self.collect, self.validate, self.prepare, self.train, self.verify, self.decide)

    def run(self, fault=NO_FAULT, since=0, until=None, after_each=lambda: None):
        """As Airflow does: what may pass is tried again, what cannot ends the run."""
        for step in self.steps[since:until]:
            try:
                _tried(step, fault)
            except GiveUp:
                return
            after_each()

    def erase(self, task_id, fault=NO_FAULT):
        bundle = forgetting(self, self.judged.printer)
        watched = fault.on_ports(bundle, but=("runs", "versions", "augmenter", "photos", "printer", "clock"))
        erase_photo(watched, task_id, By("kim", "asked by the customer", "erasure"))

    def erase_both(self, fault=NO_FAULT):
        for task in (self.train_task, self.wrong[0]):
            self.erase(task, fault)

    def shown(self, *tasks):
        """Objects, files of the tracker and rows in which one of the photos is still to be found."""
        tasks = tasks or (self.train_task, self.wrong[0])
        files = {f"{run} {name}": body for run, e in self.experiments.opened.items() for name, body in e.files.items()}
        rows = {f"row of {a.task_id}": repr(a).encode() for a in self.datasets.appearances() if a.sha256}
        return {
            name
            for name, body in {**self.objects.bodies, **files, **rows}.items()
            if any(_shows(name, body, task) for task in tasks)
        }


def _shows(name, body, task):
    """A verdict names the tasks it judged for ever; what holds images names none that it has no image of."""
    if any(part in body for part in (f"photo {task}".encode(), f"s3://tasks/{task}.jpg".encode())):
        return True
    holds_images = name.startswith("s3://datasets/") or MODEL.is_cache(name) or name.endswith("contact-sheet.png")
    return holds_images and task.encode() in body


def _tried(step, fault):
    for _ in range(3):
        try:
            return step(fault)
        except PhotosErased as error:
            last = error
    raise GiveUp(str(last))


@functools.cache
def _made():
    return World()


def a_world():
    return copy.deepcopy(_made())


def whole_run(fault):
    a_world().run(fault)


# Killed before a call is killed after the one before it.
RUN = [fault for fault in every_fault(whole_run) if fault.after]
CALLS = RUN[-1].at


def test_undisturbed_photos_are_shown_in_all_these_places():
    world = a_world()
    world.run()
    of_dataset = ("contact-sheet.png", "data-report.html", "descriptors.json", "manifest.json", "suspects.json")
    pictures = (FLIPS, REPORT_PAGE)
    assert world.shown() == {
        *(f"{URI}{name}" for name in of_dataset),
        *(f"{URI}shards/{split}-00000.parquet" for split in ("train", "validation")),
        *(f"{MODEL.uri}{name}" for name in pictures),
        *(f"run-1/1 {name}" for name in ("contact-sheet.png", *pictures)),
        CACHE,
        *(f"row of {task}" for task in (world.train_task, world.wrong[0])),
    }


@pytest.mark.parametrize("at", range(1, CALLS + 1))
def test_a_photo_erased_at_any_moment_of_a_run_is_shown_nowhere_afterwards(at):
    world = a_world()
    erasing = Fault(at, meanwhile=world.erase_both)

    def look():
        assert world.shown() == set() or erasing.calls < at

    world.run(erasing, after_each=look)
    look()


@pytest.mark.parametrize("fault", RUN, ids=str)
def test_what_a_killed_step_left_is_found_by_an_erasure(fault):
    world = a_world()
    with pytest.raises(Killed):
        world.run(fault)
    world.erase_both()
    assert world.shown() == set()


@functools.cache
def _run_until(done):
    world = a_world()
    world.run(until=done)
    return world


def run_until(done):
    """So many steps are over."""
    return copy.deepcopy(_run_until(done))


def erased_after(done, fault):
    world = run_until(done)
    world.erase(world.wrong[0], fault)


ERASING = [(done, one.at) for done in (2, 4, 5) for one in every_fault(functools.partial(erased_after, done))[::2]]


@pytest.mark.parametrize(("done", "at"), ERASING)
def test_a_run_that_goes_on_while_a_photo_is_erased_shows_it_nowhere_afterwards(done, at):
    world = run_until(done)
    world.erase(world.wrong[0], Fault(at, meanwhile=lambda: world.run(since=done)))
    assert world.shown(world.wrong[0]) == set()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_erased_at_one_moment_and_killed_at_a_later_one_the_run_again_shows_it_nowhere(data):
    world, at = a_world(), data.draw(st.integers(1, CALLS))
    killed = data.draw(st.sampled_from([fault for fault in RUN if fault.at >= at]))
    both = Both(Fault(at, meanwhile=world.erase_both), replace(killed, calls=0))
    try:
        world.run(both)
    except Killed:
        world.run()
    assert world.shown() == set()
