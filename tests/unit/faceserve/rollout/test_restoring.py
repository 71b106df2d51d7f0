"""What a replica serves when it comes back."""

import threading
import time

import pytest

from faceserve.errors import BadArtifact, StorageUnavailable
from faceserve.rollout.restoring import what_is_due
from faceserve.rollout.state import State
from tests.unit.faceserve.rollout.world import MODEL, Replica, origin

MEMORY = State(origin("v2", 20.0), origin("v1", 10.0), 7, (origin("v1", 10.0), origin("v2", 20.0)))


@pytest.fixture
def replica(tmp_path):
    return Replica(tmp_path)


def later(version):
    return origin(version, time.time() + 1)


@pytest.mark.parametrize(
    ("champion", "serves"),
    [(None, "v2"), (origin("v3", 20.001), "v3"), (origin("v3", 20.0), "v2"), (origin("v3", 5.0), "v2")],
    ids=["unknown", "promoted later", "promoted at the same time", "promoted earlier"],
)
def test_the_champion_serves_when_it_was_promoted_after_what_is_remembered(champion, serves):
    assert what_is_due(MEMORY, champion).active.version == serves


def test_the_same_version_is_no_news_however_late_it_was_promoted():
    assert what_is_due(MEMORY, origin("v2", 99.0)) is MEMORY


def test_a_change_missed_is_made_up_for_with_everything_that_goes_with_it():
    champion = origin("v3", 30.0)
    assert what_is_due(MEMORY, champion) == State(champion, MEMORY.active, 8, (*MEMORY.history, champion))


def test_without_memory_the_champion_serves_and_without_both_nothing_does():
    champion = origin("v3", 0.0)
    assert what_is_due(None, champion) == State(champion, None, 1, (champion,))
    assert what_is_due(None, None) is None


def test_a_replica_comes_back_with_what_it_served_and_what_it_can_go_back_to(replica):
    replica.serve("v1", "v2")
    again = replica.restarted()
    assert (again.serving, again.previous, again.now.epoch, again.history) == ("v2", "v1", 2, ["v1", "v2"])
    assert again.rollback().version == "v1"
    assert again.problems == {}


def test_a_replica_that_went_back_stays_there_after_a_restart(replica):
    replica.serve("v1", "v2")
    replica.rollback()
    assert replica.restarted().rollback().version == "v1"


def test_a_replica_that_missed_a_promotion_comes_back_with_the_champion(replica):
    replica.serve("v1")
    again = replica.restarted(later("v2"))
    assert (again.serving, again.previous, again.now.epoch, again.history) == ("v2", "v1", 2, ["v1", "v2"])
    once_more = again.restarted()
    assert (once_more.serving, once_more.previous, once_more.now.epoch) == ("v2", "v1", 2)


def test_a_replica_that_missed_a_rollback_comes_back_with_the_version_before(replica):
    replica.serve("v1", "v2")
    again = replica.restarted(later("v1"))
    assert (again.serving, again.history) == ("v1", ["v1", "v2", "v1"])
    assert again.rollback().version == "v1"


def test_a_replica_that_knows_more_than_the_registry_keeps_what_it_served(replica):
    replica.serve("v1", "v2")
    assert replica.restarted(origin("v1", 5.0)).serving == "v2"


def test_a_previous_version_that_cannot_be_loaded_is_only_not_kept_warm(replica, caplog):
    replica.serve("v1", "v2")
    replica.loader.fails = {"v1": BadArtifact("damaged")}
    again = replica.restarted()
    assert (again.serving, again.previous, again.problems) == ("v2", None, {})
    assert "laundry v1 is not kept warm: damaged" in caplog.text


@pytest.mark.parametrize("error", [BadArtifact("v2 is missing at s3://"), StorageUnavailable("S3: timed out")])
def test_without_the_champions_files_nothing_serves_and_the_reason_is_given(replica, error):
    """What was replaced while the replica was away may have been replaced for a cause."""
    replica.serve("v1")
    replica.loader.fails = {"v2": error}
    again = replica.restarted(later("v2"))
    assert (again.serving, again.problems) == (None, {MODEL: error})
    assert again.serving_told == []


def test_epochs_and_history_go_on_although_nothing_could_be_restored(replica):
    replica.serve("v1", "v2")
    replica.loader.fails = {"v2": BadArtifact("damaged")}
    again = replica.restarted()
    assert again.prepare("v3").epoch == 2
    assert again.activate("v3", 2).epoch == 3
    assert again.history == ["v1", "v2", "v3"]


def test_an_outage_is_over_and_the_next_attempt_serves(replica):
    replica.serve("v1")
    replica.loader.fails = {"v1": StorageUnavailable("S3: timed out")}
    again = replica.restarted()
    replica.loader.fails = {}
    assert again.manager.restore({}) == {}
    assert (again.serving, again.serving_told) == ("v1", [MODEL])


def test_what_serves_is_not_restored_again(replica):
    replica.serve("v1")
    assert replica.manager.restore({MODEL: later("v2")}) == {}
    assert (replica.serving, replica.loader.versions, replica.serving_told) == ("v1", ["v1"], [MODEL])


def test_what_was_activated_while_the_old_version_loaded_stays(replica):
    replica.serve("v0", "v1")
    again = Replica(replica.folder, replica.loader)
    again.prepare("v2")
    loading, finish = threading.Event(), threading.Event()
    replica.loader.before = lambda version: (loading.set(), finish.wait(5))
    restoring = threading.Thread(target=again.manager.restore, args=({},))
    restoring.start()
    assert loading.wait(5)
    done = again.activate("v2")
    finish.set()
    restoring.join(5)
    assert (again.serving, done.epoch, again.history) == ("v2", 3, ["v0", "v1", "v2"])
    assert [replica.engine(version).closed for version in ("v0", "v1", "v2")] == [1, 1, 0]
    assert again.serving_told == [MODEL]


@pytest.mark.parametrize("text", ["", "{", '{"format": 99}'])
def test_a_damaged_memory_is_set_aside_and_the_champion_serves(replica, text, caplog):
    (replica.folder / "laundry.json").write_text(text)
    again = replica.restarted(origin("v1", 5.0))
    assert (again.serving, again.problems) == ("v1", {})
    assert "it was set aside" in caplog.text
    assert (replica.folder / "laundry.refused.json").read_text() == text


def test_a_trial_does_not_survive_a_restart_and_its_end_is_counted(replica):
    replica.serve("v1")
    replica.prepare("v2")
    replica.try_out("v2")
    again = replica.restarted()
    assert (again.serving, again.trial, again.now.epoch) == ("v1", None, 3)


def test_each_model_comes_back_by_itself(replica):
    replica.serve("v1")
    replica.manager.prepare("face", origin("f1"))
    replica.manager.activate("face", "f1")
    replica.loader.fails = {"v1": BadArtifact("damaged")}
    again = replica.restarted()
    assert (set(again.problems), again.manager.snapshot("face").active.version) == ({MODEL}, "f1")
