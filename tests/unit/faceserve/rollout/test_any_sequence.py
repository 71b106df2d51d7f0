"""Whatever is asked of a replica, in whatever order, twice, refused or cut off by a restart: one version serves."""

import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faceserve.errors import BadRequest, ServingError, StaleEpoch, StorageUnavailable, UnknownModel
from tests.unit.faceserve.rollout.world import MODEL, Replica, origin

VERSIONS = st.sampled_from([f"v1.{n}.0" for n in range(14)])
EPOCHS = st.sampled_from(["any", "now", "another"])
PERCENTS = st.sampled_from([10, 50, 100])


class AnySequence(RuleBasedStateMachine):
    """`line` are the versions as one followed the other, cut off where one went back; `back` if the last change did."""

    keeping: dict[str, float] = {}

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.replica = Replica(Path(self.folder.name), **self.keeping)
        self.line, self.back = [], False
        self.epoch = 0
        self.ended, self.losses = None, 0

    def teardown(self):
        if hasattr(self, "folder"):
            in_memory = self.replica.now.generations
            gone = [one for one in self.replica.loader.loaded if one not in in_memory and one not in self.lost]
            assert {one.engine.closed for one in gone} <= {1}
            self.folder.cleanup()

    lost: list = []

    # What is seen from outside

    def seen(self):
        now = self.replica.now
        prepared = sorted(self.replica.prepared)
        return (self.replica.serving, self.replica.trial, now.epoch, prepared, self.replica.history, now.concluded)

    def twice(self, call, refusals=()):
        """What the call gives, or its refusal; the second time changes nothing, and no refusal ever does."""
        before = self.seen()
        try:
            found = call()
        except ServingError as refusal:
            assert isinstance(refusal, refusals), refusal
            assert self.seen() == before
            return refusal
        self.replica.settle()
        after = self.seen()
        try:
            again = call()
        except ServingError as refusal:
            assert isinstance(refusal, refusals), refusal
        else:
            assert getattr(again, "version", None) == getattr(found, "version", None)
            assert getattr(again, "epoch", None) == getattr(found, "epoch", None)
        self.replica.settle()
        assert self.seen() == after
        return found

    def expected(self, epoch):
        return {"any": -1, "now": self.replica.now.epoch, "another": self.replica.now.epoch + 7}[epoch]

    def changed_to(self, version, trial):
        if [version] != self.line[-1:]:
            self.back = version in self.line
            self.line = [*self.line[: self.line.index(version)], version] if self.back else [*self.line, version]
        if trial is not None:
            self.ended = (trial, "promoted" if trial == version else "replaced")
        # What the replica has forgotten is no way back.
        self.line = [one for one in self.line if one in self.replica.history]

    def after_change(self, done, before, trial):
        if isinstance(done, ServingError) or done.version == before:
            assert self.replica.trial == trial
            return
        self.changed_to(done.version, trial)
        assert self.replica.trial is None
        assert self.replica.previous in {before, None}

    # What may be asked

    @rule(version=VERSIONS)
    def prepare(self, version):
        self.twice(lambda: self.replica.prepare(version))
        assert self.replica.now.loaded(version)

    @rule(version=VERSIONS, epoch=EPOCHS)
    def activate(self, version, epoch):
        before, trial, expected = self.replica.serving, self.replica.trial, self.expected(epoch)
        known = self.replica.now.loaded(version)
        done = self.twice(lambda: self.replica.activate(version, expected), (UnknownModel, StaleEpoch))
        if version == before or (known and epoch != "another"):
            assert done.version == self.replica.serving == version
        else:
            assert isinstance(done, StaleEpoch if epoch == "another" else UnknownModel)
        self.after_change(done, before, trial)

    @rule(version=VERSIONS)
    def deploy(self, version):
        self.prepare(version)
        self.activate(version, "any")

    @rule()
    def roll_back(self):
        before, trial = self.replica.serving, self.replica.trial
        done = self.twice(self.replica.rollback, UnknownModel)
        if self.back:
            assert done.version == before
        elif len(self.line) > 1:
            assert done.version == self.line[-2]
        self.after_change(done, before, trial)

    @rule(version=VERSIONS)
    def roll_back_by_name(self, version):
        before, trial = self.replica.serving, self.replica.trial
        known = version in self.replica.history
        done = self.twice(lambda: self.replica.rollback(version), UnknownModel)
        assert isinstance(done, UnknownModel) if not known else done.version == self.replica.serving == version
        self.after_change(done, before, trial)

    @rule(version=VERSIONS)
    def discard(self, version):
        before = self.seen()
        self.twice(lambda: self.replica.discard(version))
        assert version not in self.replica.prepared
        if version not in before[3]:
            assert self.seen() == before

    @rule(version=VERSIONS, percent=PERCENTS, shadow=st.booleans())
    def set_canary(self, version, percent, shadow):
        before, trial, known = self.replica.serving, self.replica.trial, self.replica.now.loaded(version)
        done = self.twice(lambda: self.replica.try_out(version, percent, shadow=shadow), (UnknownModel, BadRequest))
        if trial not in {None, version}:
            assert isinstance(done, BadRequest)
        elif before is None or known is None or version == before:
            assert isinstance(done, UnknownModel)
        else:
            assert (self.replica.trial, self.replica.serving) == (version, before)
            if trial is None and self.ended != (version, "lost"):
                self.losses = 0
            self.ended = None

    @precondition(lambda self: self.replica.serving)
    @rule(version=VERSIONS, percent=PERCENTS, shadow=st.booleans())
    def prepare_and_try(self, version, percent, shadow):
        self.prepare(version)
        self.set_canary(version, percent, shadow)

    @rule(version=VERSIONS, epoch=EPOCHS)
    def promote_canary(self, version, epoch):
        before, trial, expected = self.replica.serving, self.replica.trial, self.expected(epoch)
        done = self.twice(lambda: self.replica.promote(version, expected), (UnknownModel, StaleEpoch))
        if version not in {before, trial}:
            assert isinstance(done, UnknownModel)
        elif version == before or epoch != "another":
            assert done.version == self.replica.serving == version
        self.after_change(done, before, trial)

    @precondition(lambda self: self.replica.trial)
    @rule(epoch=EPOCHS)
    def promote_what_is_on_trial(self, epoch):
        self.promote_canary(self.replica.trial, epoch)

    @rule(version=VERSIONS)
    def abort_canary(self, version):
        trial = self.replica.trial
        self.twice(lambda: self.replica.abort(version))
        assert self.replica.trial == (None if version == trial else trial)
        if version == trial:
            self.ended = (version, "aborted")

    @precondition(lambda self: self.replica.trial)
    @rule()
    def abort_what_is_on_trial(self):
        self.abort_canary(self.replica.trial)

    @precondition(lambda self: self.replica.serving)
    @rule(version=VERSIONS, news=st.sampled_from(["none", "older", "newer"]), store=st.sampled_from(["up", "down"]))
    def restart(self, version, news, store):
        """The process dies; the registry names a champion meanwhile; the store may be down at first."""
        before = self.replica.serving
        at = {"none": None, "older": 1.0, "newer": time.time() + 0.001}[news]
        time.sleep(0.002)
        champion = origin(version, at) if at else None
        due = version if news == "newer" else before
        kept = self.replica.now.remembered.previous
        stands_in = before if due != before else kept.version if kept and kept.version != due else None
        self.lost = [*self.lost, *self.replica.loader.loaded]
        if store == "down":
            self.replica.loader.fails[due] = StorageUnavailable("S3: timed out")
        if self.replica.trial:
            self.losses += 1
            self.ended = (self.replica.trial, "lost" if self.losses < 2 else "aborted")
        self.replica = self.replica.restarted(champion)
        if store == "down":
            assert set(self.replica.problems) == {MODEL}
            assert self.replica.serving == stands_in
            self.replica.loader.fails.clear()
            assert self.replica.restore({MODEL: champion} if champion else {}) == {}
        assert self.replica.serving == due
        self.replica.settle()
        if due != before:
            self.changed_to(due, None)
        self.twice(lambda: self.replica.restore({MODEL: origin("v9.0.0", time.time() + 99)}))

    # What always holds

    @invariant()
    def one_version_serves_and_it_is_the_last_that_was_asked_for(self):
        assert self.replica.serving == (self.line[-1] if self.line else None)
        if self.replica.serving:
            with self.replica.manager.lease(MODEL) as lease:
                assert lease.generation in {self.replica.now.active, getattr(self.replica.now.canary, "generation", 0)}

    @invariant()
    def epochs_never_go_back(self):
        assert self.replica.now.epoch >= self.epoch
        self.epoch = self.replica.now.epoch

    @invariant()
    def history_is_bounded_and_ends_with_what_serves(self):
        assert len(self.replica.history) <= 10
        assert len(self.replica.steps) <= 12
        assert self.replica.history[-1:] == ([self.replica.serving] if self.replica.serving else [])

    @invariant()
    def nothing_in_memory_was_freed_and_nothing_is_there_twice(self):
        now = self.replica.now
        assert [one.engine.closed for one in now.generations] == [0] * len(now.generations)
        assert len({one.version for one in now.generations}) == len(now.generations)
        assert self.replica.serving != self.replica.trial or self.replica.serving is None
        assert not {self.replica.serving, self.replica.trial} & set(self.replica.prepared)

    @invariant()
    def how_the_last_trial_ended_is_told_as_it_was(self):
        found = self.replica.now.concluded
        assert (found and (found.version, found.outcome)) == self.ended


class ShortOfMemory(AnySequence):
    """The previous version is freed after every exchange."""

    keeping = {"warm_memory_bytes": 0}


QUICK = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = QUICK
TestShortOfMemory = ShortOfMemory.TestCase
TestShortOfMemory.settings = settings(QUICK, max_examples=20)
