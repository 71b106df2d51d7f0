"""Photos that go, or become others, after a selection was frozen: set aside by name, as long as enough are left."""

import json
import re
from collections import Counter
from copy import deepcopy
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.data_report import HtmlDataReport
from pipeline.domain.dataset import Split
from pipeline.domain.errors import DatasetRefused, PhotoMissing, PhotoRefused, ServiceUnavailable
from pipeline.steps.assemble import assemble
from tests.corpus.fuzz import drawn
from tests.fakes.faults import Killed, every_fault
from tests.unit.pipeline.steps.dataset_world import COPIES, LABELS, NO_FAULT, URI, World

WAYS = {
    "missing": (PhotoMissing("no photo there"), "no photo there"),
    "archived": (PhotoMissing("the photo lies in S3's archive (Glacier)"), "archive"),
    "denied": (PhotoRefused("S3 denies access to it"), "denies access"),
    "failing": (ServiceUnavailable("S3", "Internal Server Error"), "Internal Server Error, for this photo alone"),
    "changed": (None, "another photo than the one that was collected"),
}
ACCEPTED = range(240)


class Going:
    """Photos of which some went, each in its way."""

    def __init__(self, photos, ways):
        self.photos, self.ways = photos, ways

    def read(self, url):
        if url not in self.ways:
            return self.photos.read(url)
        error, _ = WAYS[self.ways[url]]
        if error is not None:
            raise error
        return b"another photo"


@cache
def _validated(tasks):
    world = World()
    world.confirm(tasks)
    world.reporter = HtmlDataReport()
    world.collect()
    world.validate()
    return world


def a_world(tasks=ACCEPTED):
    """Collected and validated, of enough tasks to be accepted."""
    return deepcopy(_validated(tasks))


@cache
def undisturbed():
    world = a_world()
    return world.prepare(), images_of(world)


def images_of(world):
    """How often each task is in a shard."""
    shards = [json.loads(body)["images"] for uri, body in world.objects.bodies.items() if "/shards/" in uri]
    return Counter(task_id for shard in shards for task_id, _, _ in shard)


def losing(world, ways):
    """`ways` by task."""
    urls = {p.task_id: p.photo_url for p in world.manifest().photos}
    there = world.photos
    world.photos = Going(there, {urls[task_id]: way for task_id, way in ways.items()})
    return there


def demand_without(world, made, ways):
    whole, images = undisturbed()
    gone = [p for p in world.manifest().photos if p.task_id in ways]
    assert images_of(world) == {task: count for task, count in images.items() if task not in ways}
    assert made.photo_count == whole.photo_count - sum(p.split in (Split.TRAIN, Split.VALIDATION) for p in gone)
    assert made.train_count == whole.train_count - COPIES * sum(p.split is Split.TRAIN for p in gone)
    assert made.image_count == images_of(world).total()
    aside = {row.task_id: row for row in world.datasets.set_aside("DS-2026-001")}
    page = world.objects.read(f"{URI}data-report.html").decode()
    for photo in gone:
        if photo.split in (Split.TRAIN, Split.VALIDATION):
            assert re.search(WAYS[ways[photo.task_id]][1], aside[photo.task_id].reason)
            assert (aside[photo.task_id].kind, aside[photo.task_id].sha256) == ("unusable", photo.sha256)
            assert page.count(f"<td>{photo.task_id}</td>") == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("split", [Split.TRAIN, Split.VALIDATION, Split.HOLDOUT])
def test_one_photo_that_goes_leaves_a_dataset_of_all_the_others(way, split):
    world = a_world()
    ways = {world.manifest().of(split)[0].task_id: way}
    losing(world, ways)
    demand_without(world, world.prepare(), ways)


@drawn(15)
@given(st.data())
def test_whichever_few_go_in_whichever_ways_the_others_become_a_dataset(data):
    world = a_world()
    tasks = [p.task_id for p in world.manifest().photos]
    ways = data.draw(st.dictionaries(st.sampled_from(tasks), st.sampled_from(sorted(WAYS)), max_size=3))
    losing(world, ways)
    demand_without(world, world.prepare(), ways)
    assert world.manifest().sha256 == world.datasets.frozen_sha256("DS-2026-001")


def lost_one():
    world = a_world(range(60))
    losing(world, {world.manifest().of(Split.TRAIN)[12].task_id: "missing"})
    return world


@pytest.mark.parametrize("fault", every_fault(lambda fault: lost_one().prepare(fault)), ids=str)
def test_killed_at_any_call_it_ends_with_the_same_dataset_whether_or_not_the_photo_is_back_by_then(fault):
    expected, world = lost_one(), lost_one()
    expected.prepare()
    there = world.photos.photos
    with pytest.raises(Killed):
        world.prepare(fault)
    if world.datasets.set_aside("DS-2026-001"):
        world.photos = there
    world.prepare()
    assert world.objects.bodies == expected.objects.bodies
    assert world.datasets == expected.datasets


def too_many_lost():
    """More than the share of all tasks, of no slice more than others."""
    world = a_world(range(60))
    return world, losing(world, {p.task_id: "denied" for p in world.manifest().photos[::3]})


def refused_with(world, fault=NO_FAULT):
    with pytest.raises(DatasetRefused):
        world.prepare(fault)


def test_more_than_the_share_stop_the_run_by_name_and_are_whole_again_once_they_are_back():
    world = a_world()
    there = losing(world, {p.task_id: "denied" for p in world.manifest().photos})
    with pytest.raises(
        DatasetRefused,
        match=r"photos of DS-2026-001 went after they were collected: .* tasks cannot be used: TASK-.*S3 denies access "
        r"to it.*\(20% allowed\).*bring them back and clear this task",
    ):
        world.prepare()
    assert not world.datasets.set_aside("DS-2026-001")
    world.photos = there
    assemble(world.images(), "run-1", URI)
    undisturbed_world = a_world()
    undisturbed_world.prepare()
    assert world.objects.bodies == undisturbed_world.objects.bodies
    assert world.datasets == undisturbed_world.datasets


@drawn(15)
@given(st.data())
def test_however_many_go_those_that_come_back_after_a_refusal_are_in_the_dataset(data):
    world = a_world()
    tasks = [p.task_id for p in world.manifest().photos if p.split is not Split.HOLDOUT]
    share = data.draw(st.floats(0.05, 0.6))
    gone = [task_id for task_id in tasks if data.draw(st.floats(0, 1), label=task_id) < share]
    away = dict.fromkeys(gone, data.draw(st.sampled_from(["missing", "denied", "changed"])))
    still = dict(list(away.items())[: data.draw(st.integers(0, 3))])
    there = losing(world, away)
    try:
        made, expected = world.prepare(), away
    except DatasetRefused:
        assert not world.datasets.set_aside("DS-2026-001")
        world.photos = there
        losing(world, still)
        made, expected = assemble(world.images(), "run-1", URI), still
    demand_without(world, made, expected)


@pytest.mark.parametrize("fault", every_fault(lambda fault: refused_with(too_many_lost()[0], fault)), ids=str)
def test_killed_at_any_call_before_the_refusal_it_has_all_that_are_back(fault):
    world, there = too_many_lost()
    with pytest.raises(Killed):
        refused_with(world, fault)
    refused_with(world)
    world.photos = there
    world.prepare()
    assert images_of(world).keys() == {p.task_id for p in world.manifest().photos if p.split is not Split.HOLDOUT}
    assert not world.datasets.set_aside("DS-2026-001")


def test_a_class_that_goes_stops_the_run_before_anything_is_trained():
    world = a_world()
    held = {p.task_id: "missing" for p in world.manifest().of(Split.VALIDATION) if p.label == LABELS[1]}
    losing(world, held)
    with pytest.raises(DatasetRefused, match=r"too little data: validation has \d different photos of 불량, 5 needed"):
        world.prepare()


def test_storage_that_is_away_loses_nobody():
    world = a_world()
    losing(world, {p.task_id: "failing" for p in world.manifest().photos})
    with pytest.raises(ServiceUnavailable):
        world.prepare()
    assert not world.datasets.set_aside("DS-2026-001")


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_finished_dataset_is_made_again_of_the_same_photos_or_not_at_all(way):
    world = a_world()
    made, photo = world.prepare(), world.manifest().of(Split.TRAIN)[0]
    before = dict(world.objects.bodies)
    world.objects.delete(f"{URI}shards/train-00000.parquet")
    there = losing(world, {photo.task_id: way})
    with pytest.raises(
        DatasetRefused, match=f"cannot be made again without the photo of {photo.task_id}: .*{WAYS[way][1]}"
    ):
        world.augment(0)
    world.photos = there
    assert world.prepare() == made
    assert world.objects.bodies == before
