"""What is kept of everybody who is enrolled is looked through cheaply, and stays no longer than it is of use."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from faceserve.faces import kept
from faceserve.faces.changes import person_of
from faceserve.faces.comparison import VectorComparisonEngine
from faceserve.faces.kept import KeptFaces, Known
from faceserve.storage import Stores
from tests.unit.faceserve.faces.test_kept import HEAD, KEPT, Store, World, known, shard
from tests.unit.faceserve.models.test_projection import WIDTH, projection


@pytest.fixture
def world():
    return World()


class NotWalked(dict):
    """Marks of so many that they are looked up, and never gone through."""

    def _walked(self):
        raise AssertionError("all marks are gone through")

    __iter__ = keys = items = values = _walked


def test_who_is_gone_is_told_by_looking_up_those_who_are_kept_not_by_going_through_everybody_for_each_shard(world):
    there, _ = known(40)
    world.keep(there)
    world.kept.forget_gone(replace(there, marks=NotWalked(there.marks)))
    assert len(world.another().read(HEAD).faces) == 40


def test_nobody_who_is_gone_stays_in_the_memory_of_a_replica_that_did_not_take_them_out(world):
    world.keep(known(40)[0])
    world.another().forget_gone(known(39)[0])
    assert "p39" in repr(vars(world.kept))
    world.kept.forget_gone(known(39)[0])
    assert "p39" not in repr(vars(world.kept)) and "p0" in repr(vars(world.kept))


@pytest.fixture
def on_day(monkeypatch):
    return lambda number: monkeypatch.setattr(kept, "_today", lambda: date(2026, 2, 1) + timedelta(number))


@pytest.mark.parametrize("use", ["keep", "read"])
@pytest.mark.parametrize("said", [True, False])
def test_what_is_kept_of_a_network_goes_two_weeks_after_its_last_use(world, on_day, use, said):
    """Where nothing says of one when that was, as of an earlier build's, two weeks after somebody noticed."""
    on_day(0)
    other, everybody = projection(2, base="another network"), known(40)[0]
    for head in (HEAD, other):
        world.keep(known(40, head)[0], head)
    if not said:
        world.store.objects = {uri: body for uri, body in world.store.objects.items() if "/used-" not in uri}
    of_both = len(world.there())
    for day in range(30):
        on_day(day)
        if use == "keep":
            world.keep(everybody)
        else:
            assert len(world.another().read(HEAD).faces) == 40
        world.another().forget_gone(everybody)
        assert len(world.there()) == (of_both if day <= 14 else of_both // 2)
    assert len(world.store.names(KEPT, "")) == of_both // 2 + 1, "of the last day alone is said that it was used"


def test_only_who_is_written_is_turned(world, monkeypatch):
    world.keep(known(300)[0])
    turned, plain = [], VectorComparisonEngine.turned
    monkeypatch.setattr(
        VectorComparisonEngine, "turned", lambda self, matrix: turned.extend(self.identities) or plain(self, matrix)
    )
    world.keep(known(299)[0])
    assert set(turned) == {f"p{number}" for number in range(299) if shard(f"p{number}") == shard("p299")}


@pytest.fixture
def of_earlier_build(world):
    """Everybody of one network in one object."""
    there, _ = known(40)
    whole = Store()
    KeptFaces(Stores(whole, whole), "s3://faces/", "face").keep(HEAD, there, frozenset)
    folder = next(iter(whole.objects)).rpartition("/")[0]
    shards = KeptFaces(Stores(whole, whole), "s3://faces/", "face")
    base = shards.read(replace(HEAD, matrix=np.eye(WIDTH)))
    world.store.objects[folder] = shards._to_bytes(Known(marks=there.marks, faces=base.faces))
    return folder


def test_what_an_earlier_build_kept_is_read_and_written_as_shards_and_is_not_fetched_again(world, of_earlier_build):
    found = world.another().read(HEAD)
    expected, _ = known(40)
    assert found.marks == expected.marks
    for who, vector in zip(expected.faces.identities, expected.faces.vectors, strict=True):
        assert found.faces.with_one(who, vector)[0].similarity > 1 - 1e-4
    for _ in range(3):
        world.kept.forget_gone(found)
        world.keep(found)
    assert len(world.there()) == 1 + len({shard(who) for who in expected.faces.identities})
    world.store.read_once, world.store.read_often = set(), set()
    for _ in range(3):
        world.kept.forget_gone(found)
    assert of_earlier_build not in world.store.read_once
    assert len(world.another().read(HEAD).faces) == 40 and of_earlier_build not in world.store.read_once


@pytest.mark.parametrize("withdrawn", [True, False])
def test_and_it_goes_with_whoever_is_in_it(world, of_earlier_build, withdrawn):
    if withdrawn:
        world.kept.forget(person_of("p39"))
    else:
        world.kept.forget_gone(known(39)[0])
    assert world.there() == []
