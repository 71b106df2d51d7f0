"""Who is told of a change."""

import threading
import time

import pytest

from tests.unit.faceserve.rollout.world import Replica


@pytest.fixture
def replica(tmp_path):
    return Replica(tmp_path)


def test_metrics_name_the_version_that_serves(replica):
    began = time.monotonic()
    replica.serve("v1", "v2")
    took = time.monotonic() - began
    assert replica.metric("faceserve_active_version", version="v1") == 0
    assert replica.metric("faceserve_active_version", version="v2") == 1
    assert replica.metric("faceserve_swaps_total", outcome="activated") == 2
    assert replica.metric("faceserve_swap_seconds_count") == 2
    # Loading says that it took seconds, and is no part of it.
    assert 0 < replica.metric("faceserve_swap_seconds_sum") <= took
    assert replica.serving_told == ["laundry", "laundry"]


def test_metrics_count_what_was_loaded_and_how_long_it_took(replica):
    replica.prepare("v1")
    replica.prepare("v1")
    assert replica.metric("faceserve_model_load_seconds_sum") == 2.0
    assert replica.metric("faceserve_model_warm_up_seconds_sum") == 1.0


def test_metrics_follow_a_trial(replica, caplog):
    replica.serve("v1")
    replica.prepare("v2")
    share = lambda: replica.metric("faceserve_canary_share")  # noqa: E731
    replica.try_out("v2", 25, shadow=True)
    assert share() == 0
    replica.try_out("v2", 25)
    assert share() == 0.25
    replica.abort("v2", "kim says so")
    assert share() == 0
    assert replica.metric("faceserve_swaps_total", outcome="canary_aborted") == 1
    assert "laundry v2 is off: a call asked for that" in caplog.text and "kim" not in caplog.text
    replica.prepare("v3")
    replica.try_out("v3", 50)
    replica.promote("v3")
    assert share() == 0


def test_the_log_tells_what_happened(replica, caplog):
    caplog.set_level("INFO")
    replica.serve("v1", "v2")
    replica.prepare("v3")
    replica.try_out("v3", 12.5, shadow=True)
    replica.try_out("v3", 12.5)
    assert [line for line in caplog.messages if "laundry" in line] == [
        "laundry hot-swapped: None -> v1",
        "laundry hot-swapped: v1 -> v2",
        "laundry v3 gets 12.5 % of the requests in shadow",
        "laundry v3 gets 12.5 % of the requests",
    ]


CHANGES = {
    "prepare": lambda replica: replica.prepare("v4"),
    "activate": lambda replica: replica.activate("v2"),
    "roll back": lambda replica: replica.rollback(),
    "discard": lambda replica: replica.discard("v2"),
    "try": lambda replica: replica.try_out("v2", 50),
}
ENDS = {
    "promote": lambda replica: replica.promote("v2"),
    "abort": lambda replica: replica.abort("v2"),
    "activate another": lambda replica: replica.activate("v3"),
}


def wakes_once(replica, act):
    before = replica.changes.wait(-1, 0)
    act(replica)
    act(replica)
    assert replica.changes.wait(-1, 0) == before + 1


@pytest.mark.parametrize("act", CHANGES.values(), ids=CHANGES)
def test_every_change_wakes_those_that_watch_and_a_repeat_does_not(replica, act):
    replica.serve("v0", "v1")
    replica.prepare("v2")
    wakes_once(replica, act)


@pytest.mark.parametrize("act", ENDS.values(), ids=ENDS)
def test_every_end_of_a_trial_wakes_those_that_watch_and_a_repeat_does_not(replica, act):
    replica.serve("v0", "v1")
    for version in ("v2", "v3"):
        replica.prepare(version)
    replica.try_out("v2")
    wakes_once(replica, act)


def test_who_watches_wakes_at_once_and_without_a_change_after_the_time_given(replica):
    revision, woken = replica.changes.wait(-1, 0), []
    watcher = threading.Thread(target=lambda: woken.append(replica.changes.wait(revision, 3600)))
    watcher.start()
    replica.changes.announce()
    watcher.join()
    assert woken == [revision + 1]
    began = time.monotonic()
    assert replica.changes.wait(revision + 1, 0.05) == revision + 1
    assert time.monotonic() - began > 0.04


def test_a_restored_version_is_told_but_is_no_exchange(replica):
    replica.serve("v1")
    again = replica.restarted()
    assert again.metric("faceserve_active_version", version="v1") == 1
    assert again.metric("faceserve_swaps_total", outcome="activated") is None
    assert again.serving_told == ["laundry"]
    assert again.changes.wait(-1, 0) == 1
