"""Whenever a person sets aside what was said, no dataset that is learned from has it from then on."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.domain.dataset import Split
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.learned import Learned
from pipeline.domain.lineage import Gone
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.withholding import GivenBack, Scope
from pipeline.steps.gather import gather
from tests.builders import NOW, a_task, a_withheld
from tests.fakes.data import FakeCorrectionSource, FakePhotos
from tests.unit.pipeline.steps.dataset_world import LABELS, POLICY, World

HALF = a_withheld(Scope.VERSION, "v1.4.0", periods=(Period(NOW - timedelta(minutes=30), NOW + timedelta(minutes=1)),))
ALL = a_withheld(Scope.VERSION, "v1.4.0", periods=(Period(NOW - timedelta(hours=2), NOW + timedelta(hours=1)),))
COVERED = {f"TASK-{number:05d}" for number in range(30)}


@pytest.fixture
def world():
    return World()


def nth_call(world, port, method, number, act):
    """`act` once, before the call with that number."""
    calls, asked = 0, getattr(port, method)

    def watched(*given, **named):
        nonlocal calls
        calls += 1
        if calls == number:
            act()
        return asked(*given, **named)

    setattr(port, method, watched)


MOMENTS = {
    "the tasks are asked for": ("source", "confirmed", 1),
    "the first photo is looked at": ("inspector", "fingerprint", 1),
    "a photo is looked at": ("inspector", "fingerprint", 31),
    "the clusters are asked for": ("datasets", "clusters", 1),
    "the manifest is written": ("objects", "write", 1),
    "the photos' descriptors are written": ("objects", "write", 2),
    "the manifest is frozen": ("datasets", "freeze", 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_is_set_aside_while_a_dataset_is_made_is_not_in_it(world, moment):
    port, method, number = MOMENTS[moment]
    nth_call(world, getattr(world, port), method, number, lambda: world.withholdings.withhold(HALF))
    world.collect()
    manifest = world.manifest()
    assert {row.task_id for row in manifest.quarantined if row.kind == "withheld"} == COVERED
    assert manifest.photos and not COVERED & {photo.task_id for photo in manifest.photos}
    world.prepare()
    assert world.reuse() == "DS-2026-001"


def test_a_run_that_is_cleared_does_not_learn_from_what_was_set_aside_since(world):
    dataset_id = world.collect()
    world.withholdings.withhold(ALL)
    with pytest.raises(DatasetRefused, match="60 of its 60 photos: the time of v1.4.0 was set aside by kim.* start a"):
        world.collect()
    world.withholdings.give_back(ALL.id, GivenBack("lee", "it was right", NOW))
    assert world.collect() == dataset_id


def test_what_is_given_back_while_a_dataset_is_made_keeps_nobody_waiting(world):
    world.withholdings.withhold(HALF)
    back = GivenBack("lee", "it was right", NOW)
    nth_call(world, world.inspector, "fingerprint", 10, lambda: world.withholdings.give_back(HALF.id, back))
    world.collect()
    assert {row.task_id for row in world.manifest().quarantined if row.kind == "withheld"} == COVERED


def test_older_trusted_corrections_are_found_behind_however_many_that_are_set_aside(world):
    world.confirm(range(400))
    most = Period(NOW - timedelta(minutes=380), NOW + timedelta(minutes=1))
    world.withholdings.withhold(a_withheld(Scope.VERSION, "v1.4.0", periods=(most,)))
    world.collect(policy=replace(POLICY, sample_limit=1, history_limit=1, correction_limit=1))
    assert {photo.task_id for photo in world.manifest().photos} <= {f"TASK-{number:05d}" for number in range(380, 400)}


def test_trusted_members_of_the_holdout_judge_in_the_place_of_those_that_are_set_aside(world):
    world.confirm(range(200))
    everybody = world.source.rows
    for run_id, rows in (("older", everybody[100:]), ("newer", everybody[:100])):
        world.source.rows = rows
        uri = f"s3://datasets/{world.collect(run_id=run_id)}/"
        world.datasets.hold_out(world.manifest(uri).dataset_id, world.manifest(uri))
    world.source.rows = everybody
    few = replace(POLICY, sample_limit=1, history_limit=1, correction_limit=1, holdout_limit=15)

    def judges(run_id):
        photos = world.manifest(f"s3://datasets/{world.collect(run_id=run_id, policy=few)}/").of(Split.HOLDOUT)
        return {photo.task_id for photo in photos}

    members = {member.task_id for member in world.datasets.holdout(ModelType.LAUNDRY)}
    assert len(judges("all trusted") & members) >= 15
    newer = Period(NOW - timedelta(minutes=99, seconds=30), NOW + timedelta(minutes=1))
    world.withholdings.withhold(a_withheld(Scope.VERSION, "v1.4.0", periods=(newer,)))
    trusted = {task.task_id for task in everybody[100:]}
    assert len(members & trusted) >= 15 and len(judges("older trusted") & members & trusted) >= 15


def of_branches(quiet, busy):
    """So many corrections of twenty quiet branches over ten days, then so many of a busy one in some minutes."""
    tasks = [a_task(n, corrected=True, label=LABELS[n % 2]) for n in range(quiet + busy)]
    long_ago = tasks[0].confirmed_at - timedelta(days=10)
    return [
        replace(task, helper_id=f"B-{n % 20}", confirmed_at=long_ago + timedelta(hours=n))
        if n < quiet
        else replace(task, helper_id="busy", confirmed_at=tasks[0].confirmed_at + timedelta(seconds=n))
        for n, task in enumerate(tasks)
    ]


@pytest.mark.parametrize("aside", [None, "B-3"])
def test_each_branch_has_its_turn_also_while_another_one_is_set_aside(world, aside):
    tasks = of_branches(200, 500)
    world.source = FakeCorrectionSource(tasks)
    world.photos = FakePhotos({task.photo_url: f"photo {task.task_id}".encode() for task in tasks})
    if aside:
        world.withholdings.withhold(a_withheld(Scope.BRANCH, aside, periods=()))
    policy = replace(POLICY, correction_limit=50, sample_limit=1, history_limit=0)
    found = gather(world.sources(policy=policy), Learned(), (), without=Gone(frozenset(), frozenset()))
    taken = Counter(task.helper_id for task in found.tasks)
    quiet = {f"B-{n}" for n in range(20)} - {aside}
    assert quiet <= taken.keys() and taken["busy"] <= 4 and aside not in taken
