"""Versions are loaded one after the other; what is in memory already waits for nothing."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from faceserve.errors import BadArtifact, DiskUnusable, Overloaded, StaleEpoch, StorageUnavailable, TooLate
from faceserve.rollout.slot import MAX_LOADING
from tests.unit.faceserve.rollout.world import MODEL, Replica, origin
from tests.waiting import until


@pytest.fixture
def replica(tmp_path):
    return Replica(tmp_path)


class Stuck:
    """A version whose load does not come to an end before `finish`."""

    def __init__(self, replica, version):
        self.begun, self.finish = threading.Event(), threading.Event()
        self.failed = None
        replica.loader.before = lambda asked: asked == version and (self.begun.set(), self.finish.wait(60))
        self.thread = threading.Thread(target=self._prepare, args=(replica, version))

    def _prepare(self, replica, version):
        try:
            replica.prepare(version)
        except BadArtifact as error:
            self.failed = error

    def __enter__(self):
        self.thread.start()
        assert self.begun.wait(60)
        return self

    def __exit__(self, *exc):
        self.finish.set()
        self.thread.join(60)


@pytest.fixture
def stuck(replica):
    """v0 served before, v1 serves, v2 is prepared, and v3 does not get loaded."""
    replica.serve("v0", "v1")
    replica.prepare("v2")
    with Stuck(replica, "v3") as made:
        yield made


@pytest.mark.parametrize("urgent", [False, True])
@pytest.mark.parametrize("version", ["v0", "v1", "v2"])
def test_what_is_in_memory_is_prepared_while_another_version_loads(replica, stuck, version, urgent):
    done = replica.prepare(version, urgent=urgent)
    assert (done.version, done.load_seconds, done.warm_up_seconds, done.epoch) == (version, 0, 0, 2)
    assert not stuck.finish.is_set()


@pytest.mark.parametrize(
    ("act", "serves"),
    [
        (lambda replica: replica.activate("v2"), "v2"),
        (lambda replica: replica.activate("v0"), "v0"),
        (lambda replica: replica.rollback(), "v0"),
        (lambda replica: replica.rollback("v0"), "v0"),
        (lambda replica: replica.rollback("v1"), "v1"),
    ],
)
def test_what_is_in_memory_serves_while_another_version_loads(replica, stuck, act, serves):
    act(replica)
    assert replica.serving == serves


def test_trials_begin_and_end_while_another_version_loads(replica, stuck):
    replica.try_out("v2")
    replica.abort("v2")
    replica.discard("v2")
    assert replica.trial is None


def test_a_version_asked_for_twice_is_loaded_once(replica, stuck):
    with ThreadPoolExecutor(2) as pool:
        second = pool.submit(replica.prepare, "v3")
        stuck.finish.set()
        assert second.result(60).load_seconds == 0
    assert replica.loader.versions.count("v3") == 1


# As a replica alone goes back, and as the pipeline does it, which activates afterwards.
WAYS_BACK = [lambda replica: replica.rollback(), lambda replica: replica.prepare("v0", urgent=True)]


@pytest.mark.parametrize("way_back", WAYS_BACK)
def test_when_too_many_wait_to_load_the_next_is_told_so_and_a_way_back_is_not(replica, stuck, way_back):
    replica.manager.slot(MODEL).snapshot = replica.now.without_previous()
    with ThreadPoolExecutor(MAX_LOADING) as pool:
        waiting = [pool.submit(replica.prepare, f"w{n}") for n in range(MAX_LOADING - 1)]
        until(lambda: replica.manager.slot(MODEL)._places._value == 0, "all to wait")
        with pytest.raises(Overloaded, match="try again later"):
            replica.prepare("w9")
        back = pool.submit(way_back, replica)
        stuck.finish.set()
        assert back.result(60).version == "v0"
        assert {one.result(60).version for one in waiting} == {"w0", "w1", "w2"}


class Long:
    """Loads that look whether they should go on, and come to no end before `finish`."""

    def __init__(self, replica, *versions):
        self.begun, self.finish, self.loader = threading.Event(), threading.Event(), replica.loader
        self.versions = versions
        replica.loader.before = self._load

    def _load(self, version):
        if version in self.versions:
            go_on = self.loader.go_on
            self.begun.set()
            while not self.finish.wait(0.005):
                go_on()


def cold(replica):
    """v0 served before and has to be loaded for a rollback."""
    replica.serve("v0", "v1")
    replica.manager.slot(MODEL).snapshot = replica.now.without_previous()


@pytest.mark.parametrize("way_back", WAYS_BACK)
def test_a_cold_way_back_waits_for_no_other_version_however_many_are_asked_for(replica, way_back):
    cold(replica)
    names = [f"w{number}" for number in range(1000)]
    long, over, refused = Long(replica, *names), threading.Event(), []

    def prepare_without_end(mine):
        for name in mine:
            if over.is_set():
                return
            try:
                replica.prepare(name)
            except Overloaded as error:
                refused.append(str(error))

    with ThreadPoolExecutor(MAX_LOADING + 1) as pool:
        for number in range(MAX_LOADING):
            pool.submit(prepare_without_end, names[number::MAX_LOADING])
        assert long.begun.wait(60)
        until(lambda: replica.manager.slot(MODEL)._places._value == 0, "all to ask for more")
        try:
            assert pool.submit(way_back, replica).result(60).version == "v0"
        finally:
            over.set()
            long.finish.set()
    assert refused[0].endswith("try again later")
    assert "a way back is loaded before w" in refused[0]
    assert replica.loader.versions[:3] == ["v0", "v1", "v0"]


def test_a_load_ends_when_its_caller_goes_and_takes_no_place_from_the_next(replica):
    long, here = Long(replica, "v1"), threading.Event()
    here.set()
    with ThreadPoolExecutor(MAX_LOADING) as pool:
        gone = [pool.submit(replica.prepare, "v1", wanted=here.is_set) for _ in range(MAX_LOADING)]
        assert long.begun.wait(60)
        until(lambda: replica.manager.slot(MODEL)._places._value == 0, "all places to be taken")
        here.clear()
        assert {type(one.exception(60)) for one in gone} == {TooLate}
    assert replica.prepare("v2").version == "v2"
    assert replica.prepared == ["v2"]


def test_who_waits_for_his_turn_and_goes_leaves_his_place_while_the_other_still_loads(replica):
    long, here = Long(replica, "v1"), threading.Event()
    here.set()
    with ThreadPoolExecutor(MAX_LOADING) as pool:
        loading = pool.submit(replica.prepare, "v1")
        assert long.begun.wait(60)
        waiting = [pool.submit(replica.prepare, "v2", wanted=here.is_set) for _ in range(MAX_LOADING - 1)]
        until(lambda: replica.manager.slot(MODEL)._places._value == 0, "all places to be taken")
        here.clear()
        assert {type(one.exception(60)) for one in waiting} == {TooLate}
        assert not loading.done()
        long.finish.set()
        assert loading.result(60).version == "v1"


def test_other_models_do_not_wait(replica, stuck):
    assert replica.manager.prepare("face", origin("f1")).version == "f1"


def test_a_rollback_to_what_is_not_in_memory_loads_it_again(replica):
    replica.serve("v0", "v1", "v2")
    assert replica.rollback("v0").version == "v0"
    assert replica.loader.versions == ["v0", "v1", "v2", "v0"]
    assert replica.prepared == []


def test_a_rollback_against_another_epoch_loads_nothing(replica):
    replica.serve("v0", "v1", "v2")
    with pytest.raises(StaleEpoch):
        replica.rollback("v0", epoch=1)
    assert replica.loader.versions == ["v0", "v1", "v2"]
    assert replica.rollback("v0", epoch=3).version == "v0"


def test_nothing_is_loaded_for_a_caller_that_went_while_it_waited(replica):
    with pytest.raises(TooLate, match="nobody waits for v1 any more, so it was not loaded"):
        replica.prepare("v1", wanted=lambda: False)
    assert replica.loader.versions == []


def test_nothing_is_kept_for_a_caller_that_went_during_the_load(replica):
    answers = iter([True, False])
    with pytest.raises(TooLate, match="nobody waits for v1 any more, so it was freed again"):
        replica.prepare("v1", wanted=lambda: next(answers))
    assert replica.prepared == []
    assert replica.engine("v1").closed == 1


def test_a_caller_that_is_gone_takes_nothing_from_one_that_waits(replica):
    replica.prepare("v1")
    replica.prepare("v1", wanted=lambda: False)
    assert replica.prepared == ["v1"]


def test_a_refused_artifact_is_counted_and_an_outage_is_not(replica):
    refused = lambda: replica.metric("faceserve_refused_artifacts_total")  # noqa: E731
    replica.loader.fails = {"v1": BadArtifact("damaged"), "v2": StorageUnavailable("S3: timed out")}
    with pytest.raises(BadArtifact, match="damaged"):
        replica.prepare("v1")
    assert refused() == 1
    with pytest.raises(StorageUnavailable):
        replica.prepare("v2")
    assert (refused(), replica.prepared) == (1, [])


def test_a_candidate_far_slower_than_what_serves_is_freed_and_counted(replica):
    replica.loader.cpu_ms = {"v1": 10.0, "v2": 50.0}
    replica.serve("v1")
    with pytest.raises(BadArtifact, match="takes 50 ms"):
        replica.prepare("v2")
    assert (replica.engine("v2").closed, replica.prepared) == (1, [])
    assert replica.metric("faceserve_refused_artifacts_total") == 1
    assert replica.metric("faceserve_model_load_seconds_count") == 1


def test_another_artifact_of_a_version_in_memory_is_refused(replica):
    replica.prepare("v1")
    with pytest.raises(BadArtifact, match="another artifact"):
        replica.manager.prepare(MODEL, origin("v1", sha256="other"))
    assert replica.loader.versions == ["v1"]


def test_what_was_loaded_tells_how_long_that_took_and_the_epoch_to_activate_against(replica):
    replica.serve("v1")
    done = replica.prepare("v2")
    assert (done.version, done.load_seconds, done.warm_up_seconds, done.epoch) == ("v2", 2.0, 1.0, 1)


def test_after_loading_requests_get_a_moment_to_catch_up(tmp_path):
    replica = Replica(tmp_path, calm_seconds=2)
    began = time.monotonic()
    replica.prepare("v1")
    assert time.monotonic() - began >= 2
    began = time.monotonic()
    replica.prepare("v1")
    assert time.monotonic() - began < 2


def ends_a_trial(replica):
    replica.abort("v2", "as asked")
    return replica


def comes_back(replica):
    return replica.restarted(origin("v2", activated_at=time.time() + 60))


@pytest.mark.parametrize("something", [ends_a_trial, comes_back])
def test_what_a_full_disk_did_not_take_keeps_no_later_version_out_and_none_in(replica, monkeypatch, something):
    """The one that was loaded would be in memory for ever, and the replica could say of nothing that it has it."""
    replica.serve("v1")
    replica.prepare("v2")
    replica.try_out("v2")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        replica = something(replica)
        replica.prepare("v3")
        assert replica.prepared == ["v3"]
        replica.discard("v3")
        assert (replica.prepared, replica.engine("v3").closed) == ([], 1)
        with pytest.raises(DiskUnusable):
            replica.serve("v4")
    assert replica.serve("v4").version == "v4"
    assert replica.restarted().serving == "v4"
