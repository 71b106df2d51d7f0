"""A version in memory is freed after its last request, and whoever comes later does not get it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from faceserve.errors import NoModel
from faceserve.models.generation import Origin
from faceserve.rollout.slot import Slot
from tests.unit.faceserve.rollout.world import MODEL, generation
from tests.waiting import until


def test_what_was_freed_is_held_by_nobody_any_more():
    made = generation("v1")
    assert made.hold() and made.held == 1 and not made.closed
    made.release()
    assert made.close_when_idle(0)
    assert made.closed and made.engine.closed == 1
    assert not made.hold()
    assert made.held == 0


def test_it_is_freed_after_the_last_request_and_not_before():
    made = generation("v1")
    made.hold()
    made.hold()
    with ThreadPoolExecutor(1) as pool:
        freed = pool.submit(made.close_when_idle, 60)
        made.release()
        until(freed.running, "it to wait")
        assert (made.closed, made.engine.closed) == (False, 0)
        made.release()
        assert freed.result(60)
    assert made.engine.closed == 1


def test_a_request_that_does_not_end_is_not_waited_for_without_end():
    made = generation("v1")
    made.hold()
    assert not made.close_when_idle(0)
    assert made.closed


def test_a_request_meets_no_version_that_was_freed(tmp_path):
    slot = Slot(MODEL, tmp_path)
    slot.exchange(slot.snapshot.with_prepared(generation("v1")).activated("v1", -1, 1.0))
    slot.snapshot.active.close_when_idle(0)
    with pytest.raises(NoModel, match="laundry v1 was freed: ask again"), slot.lease():
        pytest.fail("it was leased")
    assert slot.snapshot.active.held == 0


def test_however_requests_and_the_end_meet_none_holds_it_afterwards():
    for _ in range(200):
        made, wrong, begin = generation("v1"), [], threading.Barrier(4)

        def ask(made=made, wrong=wrong, begin=begin):
            begin.wait(60)
            if made.hold():
                if made.engine.closed:
                    wrong.append("freed while it was held")
                made.release()

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for one in asking:
            one.start()
        begin.wait(60)
        assert made.close_when_idle(60)
        for one in asking:
            one.join()
        assert (wrong, made.held, made.hold()) == ([], 0, False)


@pytest.mark.parametrize("version", ["", "v" * 201, "v1\n", "v\0", "v\x1b[31m", "v1\u2028"])
def test_what_cannot_be_shown_names_no_version(version):
    with pytest.raises(ValueError, match="a version has"):
        Origin(version, "s3://models/v1/", "0" * 64)
