"""Everything at once: callers that change, try, abort, go away and repeat, requests, a slow store, a full disk.

The sequences are random, the threads real, the engines tiny. What must hold whatever comes of it: an answer's version
was active, or on trial, at some moment of the request; nothing is used after it was freed; epochs grow; what serves is
what was confirmed last, also after a restart; what is not in memory any more is freed, once.
"""

import itertools
import random
import tempfile
import threading
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceserve.errors import NoModel, ServingError, StorageUnavailable
from tests.unit.faceserve.rollout.world import MODEL, FakeLoader, Replica, origin

VERSIONS = [f"v{n}" for n in range(5)]
CALLERS, ASKERS = 3, 2
ACTS = st.sampled_from(
    ["deploy", "activate", "roll back", "roll back by name", "try", "promote", "abort", "discard", "expire"]
)
CALLS = st.tuples(ACTS, st.sampled_from(VERSIONS), st.sampled_from(["once", "twice", "goes away", "stale"]))
WEATHER = st.sampled_from(["fair", "slow store", "store away", "full disk"])


class Store(FakeLoader):
    """Engines know whether they are used after they were freed."""

    def __init__(self):
        super().__init__()
        self.weather = "fair"
        self.used_after = []

    def load(self, model, origin, go_on=lambda: None):
        if self.weather == "slow store":
            time.sleep(0.002)
        if self.weather == "store away":
            raise StorageUnavailable("S3: timed out")
        return super().load(model, origin, go_on)


class Scene:
    """One replica with callers and askers; `seen` are the snapshots there were, in order."""

    def __init__(self, folder):
        self.store = Store()
        self.replica = Replica(Path(folder), self.store, drain_seconds=5)
        self.full_disk(False)
        self.replica.serve("v0")
        self.over = threading.Event()
        self.wrong = []
        self.names = itertools.count()
        self.confirmed = []

    def full_disk(self, full):
        file = self.replica.manager.slot(MODEL).file
        plain = type(file)._write

        def write(state):
            if full:
                raise OSError(28, "No space left on device")
            plain(file, state)

        file._write = write

    def call(self, act, version, how):
        """One caller's change; refusals are answers, anything else is wrong."""
        request, replica = f"r{next(self.names)}", self.replica
        until = time.monotonic() + 0.001
        order = {"request": request}
        if how == "goes away":
            order["wanted"] = lambda: time.monotonic() < until
        epoch = {"epoch": replica.now.epoch - 1} if how == "stale" else {}
        acts = {
            "deploy": lambda: (replica.prepare(version), replica.activate(version, **epoch, **order))[1],
            "activate": lambda: replica.activate(version, **epoch, **order),
            "roll back": lambda: replica.rollback(**epoch, **order),
            "roll back by name": lambda: replica.rollback(version, **epoch, **order),
            "try": lambda: (replica.prepare(version), replica.try_out(version, 50, **order))[1],
            "promote": lambda: replica.promote(version, **epoch, **order),
            "abort": lambda: replica.abort(version, **order),
            "discard": lambda: replica.discard(version, **order),
            "expire": lambda: replica.manager.expire(0.05),
        }
        answers = []
        for _ in range(2 if how == "twice" else 1):
            try:
                answers.append(acts[act]())
            except ServingError:
                continue
            except Exception as error:  # noqa: BLE001 - told in the end
                self.wrong.append(f"{act} {version} {how}: {error!r}")
        told = [one for one in answers if getattr(one, "epoch", None)]
        if act in {"activate", "roll back", "roll back by name", "promote"}:
            self.confirmed += told
            if len({(one.version, one.epoch) for one in told}) > 1:
                self.wrong.append(f"{act} {version} said two things: {told}")

    def ask(self):
        """Requests without a pause."""
        numbers = random.Random(1)
        newest = 0
        while not self.over.is_set():
            before = self.replica.now
            try:
                with self.replica.manager.lease(MODEL, task_id=f"t{numbers.randrange(100)}") as lease:
                    generation = lease.generation
                    time.sleep(0)
                    if generation.engine.closed:
                        self.wrong.append(f"{generation.version} was used after it was freed")
            except NoModel as error:
                self.wrong.append(f"nothing served: {error}")
                continue
            after = self.replica.now
            if lease.epoch < newest:
                self.wrong.append(f"epoch {lease.epoch} after {newest}")
            newest = lease.epoch
            if not before.epoch <= lease.epoch <= after.epoch:
                self.wrong.append(f"an answer of epoch {lease.epoch} between {before.epoch} and {after.epoch}")

    def play(self, scripts, weather):
        def caller(script):
            for call in script:
                self.call(*call)

        def sky():
            for one in itertools.cycle(weather):
                self.store.weather = one
                self.full_disk(one == "full disk")
                if self.over.wait(0.003):
                    break
            self.store.weather = "fair"
            self.full_disk(False)

        askers = [threading.Thread(target=self.ask) for _ in range(ASKERS)]
        callers = [threading.Thread(target=caller, args=(script,)) for script in scripts]
        skies = threading.Thread(target=sky)
        for one in (*askers, skies, *callers):
            one.start()
        for one in callers:
            one.join(60)
        self.over.set()
        for one in (*askers, skies):
            one.join(60)
        assert not any(one.is_alive() for one in (*askers, *callers)), "somebody waits for ever"
        self.replica.settle()

    def judge(self):
        assert self.wrong == []
        now = self.replica.now
        kept = set(now.generations)
        assert [one.version for one in kept if one.engine.closed] == []
        assert {one.version: one.engine.closed for one in self.store.loaded if one not in kept and not_once(one)} == {}
        last = max(self.confirmed, key=lambda one: one.epoch, default=None)
        if last:
            assert now.epoch >= last.epoch
            assert now.epoch > last.epoch or now.active.version == last.version
        assert sum(one.held for one in kept) == 0

    def restart(self):
        before = self.replica.now
        lost = self.store.loaded
        self.store.loaded = []
        self.replica = self.replica.restarted()
        assert self.replica.problems == {}
        assert (self.replica.serving, self.replica.history[-1]) == (before.active.version, before.active.version)
        assert self.replica.now.epoch >= before.epoch
        assert lost


def not_once(generation):
    return generation.engine.closed != 1


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    scripts=st.lists(st.lists(CALLS, min_size=4, max_size=12), min_size=CALLERS, max_size=CALLERS),
    weather=st.lists(WEATHER, min_size=1, max_size=4),
)
def test_whatever_happens_at_once_one_sound_version_serves(scripts, weather):
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(folder)
        scene.play(scripts, weather)
        scene.judge()
        scene.restart()


def test_many_callers_who_all_want_something_else_leave_one_version_and_leak_nothing(tmp_path):
    """Two that load at once, and hundreds of exchanges under requests: the explicit case of the above."""
    scene = Scene(tmp_path)
    script = [("deploy", version, "once") for version in VERSIONS * 8]
    scene.play([script, script[::-1], [("roll back", "v0", "twice"), ("abort", "v1", "once")] * 20], ["fair"])
    scene.judge()
    assert len(scene.store.loaded) > len(VERSIONS)
    assert {origin(version).version for version in VERSIONS} >= {one.version for one in scene.store.loaded}
