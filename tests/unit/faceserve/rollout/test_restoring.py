"""What a replica serves when it comes back."""

import threading
import time

import pytest

from faceserve.errors import BadArtifact, StorageUnavailable
from faceserve.rollout.ending import Concluded
from faceserve.rollout.restoring import what_is_due
from faceserve.rollout.state import State
from tests.unit.faceserve.rollout.world import MODEL, Replica, origin

MEMORY = State(origin("v2", 20.0), origin("v1", 10.0), 7, (origin("v1", 10.0), origin("v2", 20.0)))

NOW = 100.0


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
    assert what_is_due(MEMORY, champion, NOW).active.version == serves


def test_what_was_activated_in_the_future_is_older_than_what_the_registry_says():
    assert what_is_due(MEMORY, origin("v3", 5.0), 19.9).active.version == "v3"
    assert what_is_due(MEMORY, None, 19.9) is MEMORY


def test_the_same_version_is_no_news_however_late_it_was_promoted():
    assert what_is_due(MEMORY, origin("v2", 99.0), NOW) is MEMORY


def test_a_change_missed_is_made_up_for_with_everything_that_goes_with_it():
    champion = origin("v3", 30.0)
    assert what_is_due(MEMORY, champion, NOW) == State(champion, MEMORY.active, 8, (*MEMORY.history, champion))


def test_without_memory_the_champion_serves_and_without_both_nothing_does():
    champion = origin("v3", 0.0)
    assert what_is_due(None, champion, NOW) == State(champion, None, 1, (champion,))
    assert what_is_due(None, None, NOW) is None


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
    assert (again.serving, again.history) == ("v1", ["v2", "v1"])
    assert again.rollback().version == "v1"


def test_a_replica_that_knows_more_than_the_registry_keeps_what_it_served(replica):
    replica.serve("v1", "v2")
    assert replica.restarted(origin("v1", 5.0)).serving == "v2"


ERRORS = [
    BadArtifact("v2 is missing at s3://"),
    StorageUnavailable("S3: timed out"),
    OSError("full"),
    FileNotFoundError("manifest.json"),
    MemoryError(),
    RuntimeError("can't start new thread"),
    ValueError("?"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_previous_version_that_cannot_be_loaded_is_only_not_kept_warm(replica, caplog, error):
    replica.serve("v1", "v2")
    replica.loader.fails = {"v1": error}
    again = replica.restarted()
    assert (again.serving, again.previous, again.problems) == ("v2", None, {})
    assert replica.engine("v2").closed == 0
    assert f"laundry v1 is not kept warm: {str(error) or 'MemoryError'}" in caplog.text


def test_all_that_should_serve_does_before_anything_is_kept_warm(replica):
    replica.serve("v1", "v2")
    for version in ("f1", "f2"):
        replica.manager.prepare("face", origin(version))
        replica.manager.activate("face", version)
    again = Replica(replica.folder, replica.loader)
    told = []
    replica.loader.before = lambda version: told.append((version, list(again.serving_told)))
    again.restore({})
    assert told[2:] == [("v1", ["laundry", "face"]), ("f1", ["laundry", "face"])]
    assert (again.previous, again.manager.snapshot("face").previous.version) == ("v1", "f1")


def test_what_is_activated_while_the_way_back_is_loaded_stays(replica):
    replica.serve("v1", "v2")
    again = Replica(replica.folder, replica.loader)
    again.prepare("v3")
    replica.loader.before = lambda version: version == "v1" and again.activate("v3")
    assert again.restore({}) == {}
    again.settle()
    assert (again.serving, again.previous, again.history) == ("v3", "v2", ["v1", "v2", "v3"])
    assert [replica.engine(version).closed for version in ("v1", "v2", "v3")] == [1, 0, 0]


@pytest.mark.parametrize("error", ERRORS)
def test_without_the_champions_files_what_served_last_serves_and_the_reason_is_given(replica, error):
    replica.serve("v0", "v1")
    replica.loader.fails = {"v2": error}
    again = replica.restarted(later("v2"))
    assert (again.serving, again.previous, again.problems) == ("v1", "v0", {MODEL: error})
    assert again.serving_told == [MODEL]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("news", [True, False])
def test_without_that_too_what_served_before_serves_and_is_remembered_as_standing_in(replica, error, news):
    replica.serve("v0", "v1")
    replica.loader.fails = {"v1": error, "v2": error}
    champion = later("v2") if news else None
    again = replica.restarted(champion).restarted(champion)
    assert (again.serving, again.now.epoch, again.problems) == ("v0", 4, {MODEL: error})
    replica.loader.fails = {}
    back = again.restarted()
    assert (back.serving, back.previous, back.history) == ("v1", "v0", ["v0", "v1"])


def test_without_anything_that_can_be_loaded_nothing_serves_and_the_first_reason_is_given(replica):
    replica.serve("v0", "v1")
    replica.loader.fails = {"v0": ValueError(), "v1": BadArtifact("damaged"), "v2": BadArtifact("missing")}
    again = replica.restarted(later("v2"))
    assert (again.serving, str(again.problems[MODEL]), again.serving_told) == (None, "missing", [])


@pytest.mark.parametrize("news", [True, False])
def test_what_stood_in_makes_way_for_what_should_serve_when_that_is_there(replica, news):
    replica.serve("v0", "v1")
    champion = later("v2") if news else None
    due, stood_in = ("v2", "v1") if news else ("v1", "v0")
    replica.loader.fails = {due: StorageUnavailable("S3: timed out")}
    again = replica.restarted(champion)
    champions = {MODEL: champion} if champion else {}
    assert (again.serving, again.restore(champions)[MODEL]) == (stood_in, replica.loader.fails[due])
    epoch, replica.loader.fails = again.now.epoch, {}
    assert again.restore(champions) == {}
    assert (again.serving, again.previous, again.now.epoch) == (due, stood_in, epoch + 1)
    assert again.restore(champions) == {}
    assert again.now.epoch == epoch + 1


def test_what_was_activated_meanwhile_is_not_replaced_by_what_should_have_served(replica):
    replica.serve("v0", "v1")
    replica.loader.fails = {"v1": StorageUnavailable("S3: timed out")}
    again = replica.restarted()
    again.serve("v3")
    replica.loader.fails = {}
    assert again.restore({MODEL: later("v2")}) == {}
    assert again.serving == "v3"


def standing_in(replica):
    """Restarted while the registry is away."""
    again = Replica(replica.folder, replica.loader)
    assert again.restore(None) == {}
    return again


@pytest.mark.parametrize("times", [0, 2])
def test_what_serves_while_the_registry_is_away_makes_way_for_what_it_names(replica, times):
    replica.serve("v0", "v1")
    again = standing_in(replica)
    assert (again.serving, again.previous, again.now.epoch) == ("v1", "v0", 2)
    for _ in range(times):
        assert again.restore(None) == {}
    assert not again.manager.settled(MODEL)
    assert again.restore({MODEL: later("v2")}) == {}
    again.settle()
    assert (again.serving, again.previous, again.now.epoch, again.history) == ("v2", "v1", 3, ["v0", "v1", "v2"])
    assert again.restarted().serving == "v2"
    assert again.manager.settled(MODEL)


@pytest.mark.parametrize("named", ["the same", "an older one", "none"])
def test_a_registry_that_comes_late_and_names_nothing_newer_leaves_what_serves(replica, named):
    replica.serve("v0", "v1")
    again = standing_in(replica)
    champion = {"the same": later("v1"), "an older one": origin("v0", 1.0), "none": None}[named]
    assert again.restore({MODEL: champion}) == {}
    assert (again.serving, again.now.epoch, again.manager.settled(MODEL)) == ("v1", 2, True)
    # From now on it changes nothing by itself, whatever the registry says.
    assert again.restore({MODEL: later("v2")}) == {}
    assert again.serving == "v1"


def test_what_was_activated_while_the_registry_was_away_stays(replica):
    replica.serve("v0", "v1")
    again = standing_in(replica)
    again.serve("v3")
    assert again.manager.settled(MODEL)
    assert again.restore({MODEL: later("v2")}) == {}
    assert again.serving == "v3"


def test_a_champion_that_the_late_registry_names_and_nobody_can_load_leaves_what_serves(replica):
    replica.serve("v0", "v1")
    again = standing_in(replica)
    replica.loader.fails = {"v2": StorageUnavailable("S3: timed out")}
    assert set(again.restore({MODEL: later("v2")})) == {MODEL}
    assert (again.serving, again.manager.settled(MODEL)) == ("v1", False)
    replica.loader.fails = {}
    assert again.restore({MODEL: later("v2")}) == {}
    assert again.serving == "v2"


def test_whoever_comes_before_the_memory_was_read_goes_on_from_it(replica):
    """A call that arrives while the store is asked must not begin at epoch 1 again."""
    replica.serve("v0", "v1", "v2")
    again = Replica(replica.folder, replica.loader)
    assert again.serve("v3").epoch == 4
    assert again.restore({}) == {}
    assert (again.serving, again.history) == ("v3", ["v0", "v1", "v2", "v3"])


def test_a_start_writes_nothing_that_is_on_disk_already(replica, monkeypatch):
    replica.serve("v0", "v1")
    replica.loader.fails = {"v0": BadArtifact("damaged")}
    before = (replica.folder / "laundry.json").stat()
    again = replica.restarted()
    after = (replica.folder / "laundry.json").stat()
    assert (again.serving, after.st_mtime_ns, after.st_ino) == ("v1", before.st_mtime_ns, before.st_ino)


def test_on_a_full_disk_a_replica_comes_back_all_the_same(replica, monkeypatch, caplog):
    replica.serve("v1")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    again = replica.restarted(later("v2"))
    assert (again.serving, again.now.epoch) == ("v2", 2)
    assert "v2 serves, but after a restart it may not" not in caplog.text
    assert "laundry serves, but after a restart it may not" in caplog.text


def test_epochs_and_history_go_on_although_nothing_could_be_restored(replica):
    replica.serve("v1", "v2")
    replica.loader.fails = {"v1": BadArtifact("damaged"), "v2": BadArtifact("damaged")}
    again = replica.restarted()
    assert again.prepare("v3").epoch == 2
    assert again.activate("v3", 2).epoch == 3
    assert again.history == ["v1", "v2", "v3"]


def test_an_outage_is_over_and_the_next_attempt_serves(replica):
    replica.serve("v1")
    replica.loader.fails = {"v1": StorageUnavailable("S3: timed out")}
    again = replica.restarted()
    replica.loader.fails = {}
    assert again.restore({}) == {}
    assert (again.serving, again.serving_told) == ("v1", [MODEL])


def test_what_serves_is_not_restored_again(replica):
    replica.serve("v1")
    assert replica.restore({MODEL: later("v2")}) == {}
    assert (replica.serving, replica.loader.versions, replica.serving_told) == ("v1", ["v1"], [MODEL])


def test_what_was_activated_while_the_old_version_loaded_stays(replica):
    replica.serve("v0", "v1")
    again = Replica(replica.folder, replica.loader)
    again.prepare("v2")
    loading, finish = threading.Event(), threading.Event()
    replica.loader.before = lambda version: (loading.set(), finish.wait(60))
    restoring = threading.Thread(target=again.manager.restore, args=({},))
    restoring.start()
    assert loading.wait(60)
    done = again.activate("v2")
    finish.set()
    restoring.join(60)
    assert (again.serving, done.epoch, again.history) == ("v2", 3, ["v0", "v1", "v2"])
    assert [replica.engine(version).closed for version in ("v1", "v2")] == [1, 0]
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


def test_of_a_trial_that_ended_with_its_process_twice_the_candidate_is_the_reason(replica):
    replica.serve("v1")
    for ended in (
        Concluded("v2", "lost", "ended while it tried v2", 1),
        Concluded("v2", "aborted", "ended twice while it tried v2", 2),
    ):
        replica.prepare("v2")
        replica.try_out("v2")
        replica = replica.restarted()
        assert (replica.trial, replica.now.concluded) == (None, ended)


def test_each_model_comes_back_by_itself(replica):
    replica.serve("v1")
    replica.manager.prepare("face", origin("f1"))
    replica.manager.activate("face", "f1")
    replica.loader.fails = {"v1": BadArtifact("damaged")}
    again = replica.restarted()
    assert (set(again.problems), again.manager.snapshot("face").active.version) == ({MODEL}, "f1")
