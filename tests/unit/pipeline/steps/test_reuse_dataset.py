"""A retry learns from the refused run's dataset once more: nothing is chosen, nothing is changed."""

import json
from dataclasses import replace

import pytest

from pipeline.domain.dataset import Split
from pipeline.domain.errors import DatasetRefused, GiveUp, ObjectArchived
from pipeline.domain.lineage import Erased
from pipeline.domain.models import ModelType
from pipeline.domain.withholding import GivenBack, Scope
from pipeline.steps.assemble import assemble
from tests.builders import NOW, a_task, a_withheld, an_event
from tests.fakes.data import FakeObjects
from tests.unit.pipeline.steps.dataset_world import URI, World

INDEX = f"{URI}dataset.json"


@pytest.fixture
def world():
    world = World()
    world.collect(run_id="refused")
    world.prepare(run_id="refused")
    return world


def shards(world):
    index = json.loads(world.objects.read(INDEX))
    return [shard["uri"] for split in (Split.TRAIN, Split.VALIDATION) for shard in index[split]]


def test_the_dataset_is_the_same_whatever_was_confirmed_meanwhile(world):
    before = dict(world.objects.bodies)
    world.source.rows.append(a_task(99, corrected=True))
    assert world.reuse() == "DS-2026-001"
    assert world.objects.bodies == before and len(world.datasets.ids) == 1


def test_every_step_of_the_retry_leaves_objects_and_rows_as_they_are(world):
    world.validate()
    objects, row = dict(world.objects.bodies), world.datasets.get("DS-2026-001")
    world.reuse()
    world.validate()
    assert world.prepare(run_id="retry-of-refused") == row
    assert world.objects.bodies == objects
    assert world.datasets.get("DS-2026-001").run_id == "refused"


def test_a_finished_dataset_needs_its_photos_no_more(world):
    world.photos.bodies.clear()
    assert world.prepare(run_id="retry-of-refused").id == "DS-2026-001"


def test_a_shard_that_was_lost_is_made_again_when_the_step_is_repeated(world):
    lost = shards(world)[0]
    body = world.objects.bodies.pop(lost)
    world.augment(0)
    assert world.objects.read(lost) == body


def test_a_finished_dataset_that_lost_objects_is_made_again_as_it_was_recorded(world):
    before, row = dict(world.objects.bodies), world.datasets.get("DS-2026-001")
    for uri in (INDEX, f"{URI}contact-sheet.png", *shards(world)):
        del world.objects.bodies[uri]
    assert world.prepare(run_id="retry-of-refused") == row
    assert world.objects.bodies == before


def test_an_index_that_was_lost_is_not_made_again_of_other_shards(world):
    first = shards(world)[0]
    del world.objects.bodies[INDEX]
    world.objects.write(first, b"other images")
    with pytest.raises(DatasetRefused, match=r"dataset\.json is not what was recorded"):
        assemble(world.images(), "retry-of-refused", URI)
    assert not world.objects.exists(INDEX)


def test_a_shard_that_became_another_does_not_become_the_dataset_by_assembling_again(world):
    world.augmenter.shard = lambda photos, augmentation, labels: b"of another version of the library"
    world.objects.bodies.pop(shards(world)[0])
    with pytest.raises(DatasetRefused, match=r"train-00000\.parquet is not what was recorded"):
        world.prepare(run_id="retry-of-refused")


def test_an_unknown_dataset_and_one_that_is_not_finished_are_refused(world):
    with pytest.raises(GiveUp, match="unknown or not complete"):
        world.reuse("DS-2026-404")
    with pytest.raises(GiveUp, match="unknown or not complete"):
        world.reuse(world.collect(run_id="another"))


def test_a_model_of_another_type_does_not_learn_from_it(world):
    with pytest.raises(DatasetRefused, match="DS-2026-001 is a dataset of LAUNDRY: no FACE model learns from it"):
        world.reuse(model_type=ModelType.FACE)


@pytest.mark.parametrize("split", [Split.TRAIN, Split.HOLDOUT])
def test_a_dataset_that_lost_a_photo_is_another_dataset(world, split):
    task = world.manifest().of(split)[0].task_id
    world.erasures.record(Erased(task, (), "kim", "asked by the customer", NOW))
    with pytest.raises(
        DatasetRefused, match=f"the photo of {task} was erased from DS-2026-001 since .* collects a new"
    ):
        world.reuse()


def test_a_photo_erased_from_elsewhere_is_no_hindrance(world):
    other = replace(next(iter(world.datasets.lineage.values())), task_id="TASK-99999", dataset_id="DS-2026-002")
    world.datasets.lineage["DS-2026-002", "TASK-99999"] = other
    world.erasures.record(Erased("TASK-99999", (), "kim", "asked by the customer", NOW))
    assert world.reuse() == "DS-2026-001"


def lost(world):
    return [f"{URI}manifest.json", INDEX, shards(world)[-1]]


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize(("body", "complaint"), [(None, "is missing"), (b"{}", "is not what was recorded")])
def test_objects_that_are_gone_or_were_changed_are_named_with_the_way_out(world, which, body, complaint):
    uri = lost(world)[which]
    del world.objects.bodies[uri]
    if body:
        world.objects.write(uri, body)
    with pytest.raises(DatasetRefused, match=f"cannot be used again: {uri} {complaint}.* collects a new one"):
        world.reuse()


class Glacier(FakeObjects):
    def read(self, uri):
        raise ObjectArchived(f"{uri} lies in S3's archive (Glacier): restore it there first")


def test_a_dataset_whose_objects_were_archived_says_how_to_bring_them_back(world):
    world.objects = Glacier(world.objects.bodies)
    with pytest.raises(
        DatasetRefused, match=r"manifest\.json lies in S3's archive .*: restore it there first; or start"
    ):
        world.reuse()


def test_a_dataset_of_before_is_not_learned_from_again_while_some_of_it_is_set_aside(world):
    learned = world.manifest().photos[0].task_id
    world.withholdings.confirmations.store([an_event("1", task_id=learned, extra={"reviewerId": "lee"})])
    one = world.withholdings.withhold(a_withheld(Scope.REVIEWER, "lee"))
    with pytest.raises(DatasetRefused, match="1 of its .* reviewer lee was set aside by kim: guessed; start a retrain"):
        world.reuse()
    world.withholdings.give_back(one.id, GivenBack("kim", "it was right", NOW))
    assert world.reuse() == "DS-2026-001"
