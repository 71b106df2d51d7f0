"""Whatever was erased, and whatever else holds of it, collecting ends and no dataset names it."""

import hashlib
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.domain.errors import DatasetRefused, PhotosErased
from pipeline.domain.lineage import Erased
from pipeline.domain.live_accuracy import Period
from pipeline.domain.withholding import Scope
from tests.builders import NOW, a_withheld
from tests.unit.pipeline.steps.dataset_world import World

SOME = st.sets(st.integers(0, 59), max_size=12)


def sha256(world, number):
    return hashlib.sha256(world.photos.bodies[world.source.rows[number].photo_url]).hexdigest()


def set_aside(world, number):
    """As what a version's time said, of which the Helper's row is enough to know."""
    said_at = world.source.rows[number].confirmed_at
    around = Period(said_at - timedelta(seconds=1), said_at + timedelta(seconds=1))
    world.withholdings.withhold(a_withheld(Scope.VERSION, f"v1.{number}.0", periods=(around,)))


@given(erased=SOME, forgotten=SOME, withheld=SOME, unusable=SOME, copies=st.dictionaries(*[st.integers(0, 59)] * 2))
@example(erased={5}, forgotten=set(), withheld={5}, unusable=set(), copies={})
@example(erased={5}, forgotten=set(), withheld=set(), unusable={5}, copies={})
@example(erased={5}, forgotten={5}, withheld=set(), unusable=set(), copies={7: 5})
@settings(max_examples=40, deadline=None)
def test_collecting_ends_without_what_was_erased(erased, forgotten, withheld, unusable, copies):
    """`erased` by their task, `forgotten` by their bytes alone; `copies` have the photo of another task."""
    world = World()
    rows, bodies = world.source.rows, world.photos.bodies
    bodies |= {rows[number].photo_url: f"bad {number}".encode() for number in unusable}
    bodies |= {rows[copy].photo_url: bodies[rows[of].photo_url] for copy, of in copies.items()}
    gone = {rows[number].task_id for number in erased}
    bytes_gone = {sha256(world, number) for number in erased | forgotten}
    for number in erased:
        world.erasures.record(Erased(rows[number].task_id, (sha256(world, number),), "kim", "asked", NOW))
    for number in forgotten:
        world.erasures.record(Erased(f"another {number}", (sha256(world, number),), "kim", "asked", NOW))
    for number in withheld:
        set_aside(world, number)
    try:
        world.collect()
    except DatasetRefused:
        # Nearly everything may be gone.
        assert len(erased | forgotten | withheld | unusable | set(copies)) > 20
        return
    manifest = world.manifest()
    assert not gone & set(manifest.task_ids)
    assert not bytes_gone & {row.sha256 for row in (*manifest.photos, *manifest.quarantined)}


def test_a_dataset_that_is_refused_as_erased_though_nothing_was_erased_since_is_not_tried_for_ever():
    world = World()

    def refuse(dataset_id, *_):
        raise PhotosErased(dataset_id, ["TASK-00001"])

    world.datasets.freeze = refuse
    with pytest.raises(PhotosErased, match="TASK-00001"):
        world.collect()
