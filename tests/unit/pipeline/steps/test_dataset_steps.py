"""Collect, validate, augment, assemble: from confirmed tasks to a dataset that is counted and checked."""

import dataclasses
import json

import pytest

from pipeline.domain.dataset import Manifest, SelectionPolicy, Source, Split
from pipeline.domain.errors import DatasetRefused, ServiceUnavailable
from pipeline.domain.models import ModelType
from pipeline.steps.assemble import assemble
from pipeline.steps.augment import augment, slices
from pipeline.steps.collect import collect
from pipeline.steps.validate import validate
from tests.builders import NOW, a_task
from tests.fakes.data import (
    FakeAugmenter,
    FakeCorrectionSource,
    FakeDatasets,
    FakeInspector,
    FakeObjects,
    FakePhotos,
    FakeValidator,
)
from tests.fakes.faults import Fault, Killed, every_fault, unavailable

LABELS = ("양호", "불량")
POLICY = SelectionPolicy(min_train_photos=20)
COPIES, PER_SLICE = 5, 10
URI = "s3://datasets/DS-2026-001/"


class World:
    """Sixty confirmed tasks, every third a correction."""

    def __init__(self):
        tasks = [a_task(n, corrected=n % 3 == 0, label=LABELS[n % 2]) for n in range(60)]
        self.source = FakeCorrectionSource(tasks)
        self.photos = FakePhotos({t.photo_url: f"photo {t.task_id}".encode() for t in tasks})
        self.datasets, self.objects = FakeDatasets(), FakeObjects()
        self.augmenter, self.validator = FakeAugmenter(), FakeValidator()

    def collect(self, fault=None, run_id="run-1", since=None):
        fault = fault or Fault()
        return collect(
            run_id,
            ModelType.LAUNDRY,
            labels=LABELS,
            since=since,
            policy=POLICY,
            source=fault.on(self.source),
            photos=self.photos,
            inspector=FakeInspector(),
            datasets=fault.on(self.datasets),
            objects=fault.on(self.objects),
            prefix="s3://datasets/",
        )

    def prepare(self, fault=None):
        """Augment every slice, then assemble."""
        fault = fault or Fault()
        for index in range(len(slices(self.manifest(), PER_SLICE))):
            self.augment(index, fault)
        return assemble(
            "run-1",
            URI,
            photos_per_slice=PER_SLICE,
            copies=COPIES,
            augmenter=self.augmenter,
            objects=fault.on(self.objects),
            datasets=fault.on(self.datasets),
        )

    def augment(self, index, fault=None):
        fault = fault or Fault()
        return augment(
            URI,
            index,
            photos_per_slice=PER_SLICE,
            copies=COPIES,
            seed=7,
            photos=self.photos,
            augmenter=self.augmenter,
            objects=fault.on(self.objects),
        )

    def manifest(self):
        return Manifest.from_json(self.objects.read(f"{URI}manifest.json"))


@pytest.fixture
def world():
    return World()


def collected():
    world = World()
    world.collect()
    return world


def test_the_selection_has_every_training_correction_and_evaluation_photos_at_natural_frequency(world):
    assert world.collect() == "DS-2026-001"
    photos = world.manifest().photos
    training = [p for p in photos if p.split is Split.TRAIN]
    assert all(p.corrected for p in training if p.source is Source.CORRECTION)
    assert {p.source for p in training} == {Source.CORRECTION, Source.REPLAY}
    evaluated = {p.task_id for p in photos if p.split is not Split.TRAIN}
    expected = {t.task_id for t in world.source.tasks} - {p.task_id for p in training}
    assert evaluated <= expected and len(evaluated) > 5


def test_a_rerun_keeps_the_frozen_selection_though_more_was_confirmed(world):
    world.collect()
    before = dict(world.objects.bodies)
    world.source.tasks.append(a_task(99, corrected=True))
    assert world.collect() == "DS-2026-001"
    assert world.objects.bodies == before


def test_another_run_gets_another_dataset(world):
    assert world.collect(run_id="run-1") != world.collect(run_id="run-2")


def test_only_corrections_since_the_champions_are_asked_for_but_the_sample_reaches_back(world):
    since = NOW.replace(hour=11, minute=45)
    world.collect(since=since)
    assert world.manifest().corrections_since == since.isoformat()


@pytest.mark.parametrize("body", [None, b"bad: not an image", b"bad: 0 bytes"])
def test_an_unusable_photo_is_quarantined_with_its_reason_and_the_others_stay(world, body):
    url = world.source.tasks[0].photo_url
    world.photos.bodies.pop(url)
    if body:
        world.photos.bodies[url] = body
    world.collect()
    (quarantined,) = world.manifest().quarantined
    assert quarantined.photo_url == url
    assert quarantined.reason == (body.decode() if body else f"no photo at {url}")


def test_nothing_confirmed_is_refused_with_a_sentence(world):
    world.source.tasks.clear()
    with pytest.raises(DatasetRefused, match="nothing to learn from"):
        world.collect()


@pytest.mark.parametrize("fault", every_fault(lambda fault: World().collect(fault)), ids=str)
def test_collecting_killed_at_any_call_ends_with_the_same_selection(fault):
    world, undisturbed = World(), collected()
    with pytest.raises(Killed):
        world.collect(fault)
    world.collect()
    assert world.objects.bodies == undisturbed.objects.bodies
    assert world.datasets == undisturbed.datasets


def test_hard_failures_stop_the_run_and_the_report_is_kept():
    world = collected()
    world.validator = FakeValidator(failures=("only one class", "41 % of the photos are unusable"))
    with pytest.raises(DatasetRefused, match="only one class; 41 %"):
        validate(URI, validator=world.validator, objects=world.objects)
    assert world.objects.exists(f"{URI}validation-report.html")


def test_warnings_are_reported_and_do_not_stop():
    world = collected()
    _, found = validate(URI, validator=FakeValidator(warnings=("few dark photos",)), objects=world.objects)
    assert found.warnings == ("few dark photos",)


def test_only_training_photos_are_multiplied_and_the_holdout_is_never_in_a_shard():
    world = collected()
    dataset = world.prepare()
    photos = world.manifest()
    shards = [json.loads(b)["images"] for uri, b in world.objects.bodies.items() if "/shards/" in uri]
    times = {}
    for task, _, _ in (image for shard in shards for image in shard):
        times[task] = times.get(task, 0) + 1
    assert {times[p.task_id] for p in photos.of(Split.TRAIN)} == {COPIES}
    assert {times[p.task_id] for p in photos.of(Split.VALIDATION)} == {1}
    assert not {p.task_id for p in photos.of(Split.HOLDOUT)} & set(times)
    assert dataset.train_count == len(photos.of(Split.TRAIN)) * COPIES
    assert dataset.image_count == dataset.train_count + dataset.validation_count == sum(times.values())


def test_a_photo_that_changed_since_it_was_collected_is_refused():
    world = collected()
    changed = world.manifest().of(Split.TRAIN)[0]
    world.photos.bodies[changed.photo_url] = b"another photo"
    with pytest.raises(DatasetRefused, match=f"{changed.task_id} changed since"):
        world.prepare()


def test_a_leak_between_splits_is_refused():
    world = collected()
    manifest = world.manifest()
    train, held = manifest.of(Split.TRAIN)[0], manifest.of(Split.HOLDOUT)[0]
    leaking = tuple(dataclasses.replace(p, cluster_id=train.cluster_id) if p is held else p for p in manifest.photos)
    body = dataclasses.replace(manifest, photos=leaking).to_json()
    world.objects.write(f"{URI}manifest.json", body)
    with pytest.raises(DatasetRefused, match="leak between splits"):
        world.prepare()


@pytest.mark.parametrize("fault", every_fault(lambda fault: collected().prepare(fault)), ids=str)
def test_preparing_killed_at_any_call_ends_with_the_same_dataset(fault):
    world, undisturbed = collected(), collected()
    undisturbed.prepare()
    with pytest.raises(Killed):
        world.prepare(fault)
    world.prepare()
    assert world.objects.bodies == undisturbed.objects.bodies
    assert world.datasets == undisturbed.datasets


def test_the_object_store_gone_for_a_moment_is_worth_another_try():
    world = collected()
    with pytest.raises(ServiceUnavailable):
        world.augment(0, Fault(at=1, error=unavailable("S3")))
    assert world.augment(0).endswith("shards/train-00000.parquet")
