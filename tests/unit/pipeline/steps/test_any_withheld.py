"""Whenever a person sets aside what was said, no dataset that is learned from has it from then on."""

from datetime import timedelta

import pytest

from pipeline.domain.errors import DatasetRefused
from pipeline.domain.live_accuracy import Period
from pipeline.domain.withholding import GivenBack, Scope
from tests.builders import NOW, a_withheld
from tests.unit.pipeline.steps.dataset_world import World

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
    "the photos' descriptors are written": ("objects", "write", 1),
    "the manifest is written": ("objects", "write", 2),
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
