"""A candidate that crashes, hangs or swells harms a child process, never the server."""

import ctypes
import functools
import math
import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import util
from pathlib import Path

import psutil
import pytest

from faceserve.engines.base import factory
from faceserve.errors import BadArtifact, NoVerdict, Overloaded, StorageUnavailable, TooLate
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination
from faceserve.models.generation import Origin
from faceserve.models.loading import Loader
from faceserve.models.vetting import ChildVetting
from include.contract.manifest import MANIFEST
from tests.tiny_model import FolderSource, tiny_artifact
from tests.waiting import until

pytestmark = pytest.mark.integration

URI = "s3://models/v1.0.0/"


def do(mischief):
    match mischief:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(3)
        case "hang" | "hang halfway":
            threading.Event().wait()
        case "hang with Python's lock":
            ctypes.PyDLL(None).pause()
        case "swell":
            return [bytearray(64 << 20) for _ in range(100)]
        case "outage":
            raise StorageUnavailable("S3: timed out")
        case "fault":
            raise AttributeError("'StreamingChecksumBody' object has no attribute 'strip'")
        case "slow":
            time.sleep(3)
    return None


class Source(FolderSource):
    """Objects as they were when it was made; the child gets a copy. `mischief` is done first, or halfway."""

    def __init__(self, objects, mischief="none"):
        super().__init__()
        self.objects = objects
        self.mischief = mischief

    def read(self, uri, at_most_bytes=1 << 30):
        if uri.endswith(MANIFEST) != (self.mischief == "hang halfway"):
            do(self.mischief)
        return super().read(uri)


@dataclass(frozen=True)
class Misbehaving(Examination):
    """Of a candidate that does `mischief` as soon as it is tried out."""

    mischief: str = "none"

    def examine(self, *about):
        do(self.mischief)
        return super().examine(*about)


@pytest.fixture
def load(tmp_path):
    """Loads an artifact made with `changes`, vetted within `seconds`; asked again, that is the same one."""
    files = {}

    def load(seconds=60.0, mischief="none", store="good", max_cpu_ms=1000.0, *, room=math.inf, go_on=None, **changes):
        stored = FolderSource()
        sha256 = stored.put(URI, files.setdefault(repr(sorted(changes.items())), tiny_artifact(**changes)))
        examination = Misbehaving("openvino", ("f32",), max_cpu_ms, mischief=mischief)
        source = functools.partial(Source, stored.objects, store)
        vetting = ChildVetting(tmp_path / "artifacts", source, examination, 1, seconds, 2 << 30, room=lambda: room)
        cache = ArtifactCache(tmp_path / "artifacts", stored, examination.keys)
        loader = Loader(cache, examination, factory("openvino", 1), vet=vetting)
        return loader.load("laundry", Origin("v1.0.0", URI, sha256), go_on or (lambda: None))

    return load


@pytest.fixture
def patient(monkeypatch):
    """However busy the machine is, what a candidate does is waited for."""
    monkeypatch.setattr("faceserve.models.vetting._PATIENCE", 300)


def test_a_good_candidate_is_loaded_and_its_pace_is_known(load):
    generation = load().generation
    assert generation.labels == ("양호", "불량")
    assert generation.cpu_ms > 0


def clear_away(what):
    folder = Path(util.get_temp_dir())
    for socket in folder.iterdir():
        socket.unlink()
    if what == "folder":
        folder.rmdir()


@pytest.mark.parametrize("what", ["folder", "socket"])
def test_a_candidate_is_tried_though_somebody_cleared_away_what_the_one_before_was_started_through(load, what):
    load()
    clear_away(what)
    for _ in range(2):
        assert load().generation.labels == ("양호", "불량")
    assert multiprocessing.active_children() == []


def test_but_not_while_another_one_is_tried_which_would_end_as_if_it_had_crashed(load):
    load()

    def go_on():
        clear_away("folder")
        load()

    with pytest.raises(NoVerdict, match="one is still tried"):
        load(mischief="hang", seconds=3000.0, go_on=go_on)
    assert load().generation.labels == ("양호", "불량")


def test_the_child_says_why_a_candidate_is_refused(load):
    with pytest.raises(BadArtifact, match=r"golden predictions differ by 0\.5"):
        load(golden_shift=0.5)


def test_a_candidate_of_another_model_is_refused(load):
    with pytest.raises(BadArtifact, match="FACE model, not laundry"):
        load(model_type="FACE")


@pytest.mark.parametrize(
    ("mischief", "reason"),
    [
        ("crash", r"crashes its process \(signal 11\)"),
        ("exit", r"crashes its process \(exit status 3\)"),
        ("swell", "needs more than 2048 MB of memory"),
    ],
)
def test_what_takes_its_process_down_is_refused_with_the_reason(load, mischief, reason):
    with pytest.raises(BadArtifact, match=reason):
        load(mischief=mischief)


def test_a_candidate_that_hangs_is_refused_after_the_deadline_and_leaves_no_process(load, patient):
    with pytest.raises(BadArtifact, match="did not load and answer within 2 s"):
        load(seconds=2.0, mischief="hang")


def test_a_candidate_that_takes_too_long_for_an_image_is_refused(load):
    with pytest.raises(BadArtifact, match="ms of processor time"):
        load(max_cpu_ms=0.0001)


@pytest.mark.parametrize(
    ("store", "seconds", "reason"), [("outage", 60.0, "timed out"), ("hang", 0.5, "files did not come within 2 s")]
)
def test_an_outage_of_the_store_is_no_fault_of_the_candidate(load, store, seconds, reason):
    with pytest.raises(StorageUnavailable, match=reason):
        load(seconds=seconds, store=store)


def third_time(error):
    """Of three looks whether to go on, the third says no."""
    looks = iter([True, True])

    def go_on():
        if not next(looks, False):
            raise error

    return go_on


@pytest.mark.parametrize(
    ("hangs", "error"),
    [
        ("mischief", TooLate("nobody waits")),
        ("mischief", Overloaded("a way back")),
        ("store", Overloaded("a way back")),
    ],
)
def test_a_candidate_that_nobody_wants_any_more_is_let_go_whatever_it_waits_for(load, hangs, error):
    with pytest.raises(type(error)):
        load(seconds=3000.0, go_on=third_time(error), **{hangs: "hang"})
    assert multiprocessing.active_children() == []


def test_files_that_take_longer_than_anybody_waits_are_here_for_whoever_asks_again(load):
    for _ in range(2):
        with pytest.raises(TooLate):
            # It never answers, so that no machine is quick enough to be done before anybody looks.
            load(store="slow", mischief="hang", seconds=3000.0, go_on=third_time(TooLate("nobody waits")))
    assert load(store="outage").generation.labels == ("양호", "불량")


def test_the_time_that_the_store_takes_is_not_the_candidates(load, patient):
    assert load(seconds=2.5, store="slow").generation.labels == ("양호", "불량")


@pytest.mark.parametrize("ending", ["crash", "exit"])
def test_a_process_that_ends_before_the_candidate_is_there_says_nothing_of_it(load, ending):
    with pytest.raises(NoVerdict, match="ended before its files had come"):
        load(store=ending)


def test_a_fault_on_the_way_to_the_candidate_says_nothing_of_it(load):
    with pytest.raises(NoVerdict, match="no attribute 'strip'"):
        load(store="fault")


def test_a_fault_once_the_candidate_is_there_is_its_own(load):
    with pytest.raises(BadArtifact, match="no attribute 'strip'"):
        load(mischief="fault")


def vetted_by_another(folder, mischief, store):
    """In a process of its own, which says when it begins."""
    stored = FolderSource()
    sha256 = stored.put(URI, tiny_artifact())
    examination = Misbehaving("openvino", ("f32",), mischief=mischief)
    source = functools.partial(Source, stored.objects, store)
    vetting = ChildVetting(folder, source, examination, 1, 60.0, 2 << 30)
    vetting("laundry", Origin("v1.0.0", URI, sha256))


@pytest.mark.parametrize(
    ("mischief", "store", "begun"),
    [("none", "hang halfway", "partial-*/*"), ("hang with Python's lock", "good", "[0-9a-f]*")],
)
def test_a_server_that_is_killed_leaves_no_process_behind(tmp_path, mischief, store, begun):
    server = multiprocessing.get_context("spawn").Process(target=vetted_by_another, args=(tmp_path, mischief, store))
    server.start()
    until(lambda: list(tmp_path.glob(begun)), "the candidate to be tried out")
    left = psutil.Process(server.pid).children(recursive=True)
    server.kill()
    server.join()
    assert psutil.wait_procs(left, timeout=60)[1] == []


def test_a_candidate_gets_no_more_memory_than_there_is_beside_what_serves(load):
    with pytest.raises(BadArtifact, match="needs more than 896 MB of memory"):
        load(mischief="swell", room=1 << 30)
    with pytest.raises(NoVerdict, match="room for 172 MB beside what serves"):
        load(room=300 << 20)


def test_on_a_machine_that_is_too_busy_nothing_is_said_against_the_candidate(load, monkeypatch):
    """Of the time that it hangs for, none counts: so it is with one that never gets the processor."""
    monkeypatch.setattr("faceserve.models.vetting.Spent.look", lambda spent: 0.0)
    said = []

    def heard():
        # Where even its files are late, it is tried again.
        with suppress(StorageUnavailable):
            with pytest.raises(NoVerdict) as caught:
                load(seconds=0.5, mischief="hang")
            said.append(str(caught.value))
        return said

    until(heard, "a word on the machine")
    assert "too busy to try a model" in said[0]
