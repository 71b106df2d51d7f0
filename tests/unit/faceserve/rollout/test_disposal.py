"""What serves no more is freed, after its last request and away from the others."""

import time
from dataclasses import replace

import pytest

from faceserve.errors import BadArtifact
from faceserve.rollout.canary import Limits
from tests.unit.faceserve.rollout.world import MODEL, Replica, generation, origin


@pytest.fixture
def replica(tmp_path):
    return Replica(tmp_path)


def closed(replica, *versions):
    replica.settle()
    return [replica.engine(version).closed for version in versions]


def test_what_served_two_versions_ago_is_freed(replica):
    replica.serve("v1", "v2", "v3")
    assert closed(replica, "v1", "v2", "v3") == [1, 0, 0]


def test_a_version_is_freed_after_its_last_request(tmp_path):
    replica = Replica(tmp_path, drain_seconds=60)
    replica.serve("v1")
    with replica.manager.lease(MODEL):
        replica.serve("v2", "v3")
        time.sleep(0.05)
        assert replica.engine("v1").closed == 0
    assert closed(replica, "v1") == [1]


def test_a_request_that_does_not_end_is_waited_for_only_so_long(replica, caplog):
    replica.serve("v1")
    with replica.manager.lease(MODEL):
        began = time.monotonic()
        replica.serve("v2", "v3")
        assert closed(replica, "v1") == [1]
        assert time.monotonic() - began >= 0.2
    assert "v1 still had requests after 0.2 s" in caplog.text


def test_freeing_a_version_without_requests_is_no_warning(replica, caplog):
    replica.serve("v1", "v2", "v3")
    replica.settle()
    assert "still had requests" not in caplog.text


def test_an_aborted_candidate_is_freed_unless_it_is_the_previous_version(replica):
    replica.serve("v1", "v2")
    replica.prepare("v3")
    replica.try_out("v3")
    replica.abort("v3")
    replica.try_out("v1")
    replica.abort("v1")
    assert closed(replica, "v1", "v2", "v3") == [0, 0, 1]


def test_a_candidate_whose_trial_ends_by_an_activation_is_freed(replica):
    replica.serve("v1")
    for version in ("v2", "v3"):
        replica.prepare(version)
    replica.try_out("v2")
    replica.activate("v3")
    assert closed(replica, "v1", "v2", "v3") == [0, 1, 0]


def test_a_discarded_version_is_freed_before_the_call_ends(replica):
    replica.prepare("v1")
    replica.discard("v1")
    assert replica.engine("v1").closed == 1
    replica.discard("v1")
    assert replica.engine("v1").closed == 1


def test_freeing_waits_until_requests_have_caught_up(tmp_path):
    replica = Replica(tmp_path, calm_seconds=0.1)
    replica.serve("v1", "v2")
    replica.prepare("v3")
    began = time.monotonic()
    replica.activate("v3")
    assert closed(replica, "v1") == [1]
    assert time.monotonic() - began >= 0.1


def test_beyond_the_memory_budget_the_previous_version_is_not_kept_warm(tmp_path, caplog):
    replica = Replica(tmp_path, warm_memory_bytes=1)
    replica.serve("v1", "v2")
    assert closed(replica, "v1", "v2") == [1, 0]
    assert replica.previous is None
    assert "v1 is not kept warm: the memory budget is used up" in caplog.text
    assert replica.rollback().version == "v1"


def test_beyond_the_memory_budget_a_previous_version_on_trial_stays(tmp_path):
    replica = Replica(tmp_path, warm_memory_bytes=1)
    replica.serve("v1", "v2")
    replica.settle()
    slot = replica.manager.slot(MODEL)
    kept = generation("v1")
    slot.snapshot = slot.snapshot.with_prepared(kept).on_trial("v1", 50, shadow=False, limits=Limits())
    slot.snapshot = replace(slot.snapshot, previous=kept)
    replica.manager._disposal._cool(slot)
    assert (kept.engine.closed, replica.trial, replica.previous) == (0, "v1", None)


def test_within_the_memory_budget_it_is(replica):
    replica.serve("v1", "v2")
    replica.settle()
    assert replica.previous == "v1"


def test_files_are_kept_of_what_is_in_memory_or_served_lately_in_any_model(replica):
    replica.manager.prepare("face", origin("f1"))
    replica.prepare("p1")
    replica.serve(*(f"v{n}" for n in range(12)))
    replica.settle()
    assert replica.loader.kept_files == {"f1", "p1", *(f"v{n}" for n in range(2, 12))}


def test_files_of_what_was_refused_make_room_before_the_next_version_is_loaded(replica):
    replica.serve("v1", "v2")
    replica.settle()
    seen = []
    replica.loader.before = lambda version: seen.append(replica.loader.kept_files)
    for version in ("v3", "v4"):
        replica.loader.fails = {version: BadArtifact("damaged")}
        with pytest.raises(BadArtifact):
            replica.prepare(version)
    assert seen == [{"v1", "v2", "v3"}, {"v1", "v2", "v4"}]


def test_files_of_what_a_start_may_fall_back_on_are_kept_until_it_did(replica):
    replica.serve("v1", "v2")
    replica.settle()
    again = Replica(replica.folder, replica.loader)
    again.manager.prepare("face", origin("f1"))
    assert replica.loader.kept_files == {"v1", "v2", "f1"}
    replica.restarted(origin("v3", time.time() + 1)).settle()
    assert replica.loader.kept_files >= {"v1", "v2", "v3"}


def test_a_disk_that_cannot_be_tidied_takes_a_version_all_the_same(replica, monkeypatch):
    def failing(needed, loading):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(replica.loader, "forget_all_but", failing)
    assert replica.serve("v1").version == "v1"


def test_an_engine_that_fails_at_its_end_keeps_nothing_else_from_being_freed(replica, monkeypatch):
    replica.serve("v1", "v2")
    monkeypatch.setattr(replica.engine("v1"), "close", lambda: 1 / 0)
    replica.serve("v3")
    replica.settle()
    assert replica.loader.kept_files == {"v1", "v2", "v3"}
