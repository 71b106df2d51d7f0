"""Requests take what serves without waiting; a change is on disk before it is made."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from faceserve.errors import NoModel, Overloaded, UnknownModel
from faceserve.rollout.slot import MAX_LOADING, Slot, Slots
from tests.unit.faceserve.rollout.world import MODEL, generation
from tests.waiting import until


@pytest.fixture
def slot(tmp_path):
    return Slot(MODEL, tmp_path)


def serve(slot, version):
    after = slot.snapshot.with_prepared(generation(version)).activated(version, -1, 1.0)
    return slot.exchange(after)


def test_a_lease_holds_its_version_until_the_request_ends(slot):
    serve(slot, "v1")
    active = slot.snapshot.active
    with slot.lease() as lease:
        assert (lease.generation, active.held) == (active, 1)
    assert active.held == 0


def test_a_request_that_fails_lets_go_too(slot):
    serve(slot, "v1")
    with pytest.raises(RuntimeError), slot.lease():
        raise RuntimeError
    assert slot.snapshot.active.held == 0


def test_a_version_freed_between_a_look_and_a_lease_is_passed_over(slot):
    serve(slot, "v1")
    before = slot.snapshot

    def freed_meanwhile():
        """As if the exchange came after this request's look."""
        before.active.close_when_idle(0)
        serve(slot, "v2")
        return False

    before.active.hold = freed_meanwhile
    with slot.lease() as lease:
        assert lease.generation.version == "v2"


def test_a_request_may_name_its_version_and_its_task(slot):
    serve(slot, "v1")
    serve(slot, "v2")
    with slot.lease("v1", "task-1") as lease:
        assert lease.generation.version == "v1"


def test_without_a_version_nobody_is_served(slot):
    with pytest.raises(NoModel), slot.lease():
        pytest.fail("it was")


def test_a_change_is_on_disk_before_it_is_made(slot, monkeypatch):
    serve(slot, "v1")
    before, plain = slot.snapshot, slot.file.write
    seen = []
    monkeypatch.setattr(slot.file, "write", lambda state: (seen.append(slot.snapshot), plain(state)))
    began = time.monotonic()
    took = serve(slot, "v2")
    assert 0 <= took <= time.monotonic() - began
    assert seen == [before]
    assert slot.file.read() == slot.snapshot.remembered


def test_what_cannot_be_kept_on_disk_is_not_done(slot, monkeypatch):
    serve(slot, "v1")

    def full(state):
        raise OSError("disk full")

    monkeypatch.setattr(slot.file, "write", full)
    with pytest.raises(OSError, match="disk full"):
        serve(slot, "v2")
    assert slot.snapshot.active.version == "v1"
    # Nothing of this has to survive a restart, so that it works on a full disk.
    slot.exchange(slot.snapshot.with_prepared(generation("v3")))
    assert slot.snapshot.loaded("v3")


def test_a_model_that_this_replica_does_not_have_is_named(tmp_path):
    slots = Slots(("laundry", "face"), tmp_path)
    assert slots["face"].model == "face"
    with pytest.raises(UnknownModel, match="no model 'laundri', only laundry, face"):
        slots["laundri"]


def test_only_a_few_may_wait_for_their_turn_to_load(slot):
    inside, finish, done = threading.Semaphore(0), threading.Event(), []

    def load():
        with slot.turn():
            inside.release()
            finish.wait(60)
            done.append(1)

    with ThreadPoolExecutor(MAX_LOADING) as pool:
        waiting = [pool.submit(load) for _ in range(MAX_LOADING)]
        assert inside.acquire(timeout=60)
        until(lambda: slot._places._value == 0, "all places to be taken")
        assert not inside.acquire(blocking=False)
        with pytest.raises(Overloaded, match=f"{MAX_LOADING} calls load a version of laundry or wait"), slot.turn():
            pytest.fail("there was a place")
        finish.set()
        for one in waiting:
            one.result(60)
    with slot.turn():
        assert len(done) == MAX_LOADING == 4
