"""A manager whose versions load at once and answer with nothing: what is under test is which of them serves."""

import threading
import time

from faceserve.metrics import Metrics
from faceserve.models.generation import Generation, Origin
from faceserve.models.loading import Loaded
from faceserve.rollout.canary import Limits
from faceserve.rollout.changes import Changes
from faceserve.rollout.lifecycle import ModelLifecycleManager
from faceserve.rollout.orders import Order
from faceserve.rollout.restoring import Word
from faceserve.rollout.rules import Keeping, Rules
from include.contract.manifest import ArtifactManifest, Golden

MODELS = ("laundry", "face")
MODEL = "laundry"


class Engine:
    """`closed` counts, since a second time would free what is somebody else's by then."""

    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


def origin(version, activated_at=0.0, sha256=None):
    return Origin(version, f"s3://models/{version}/", sha256 or f"sha256 of {version}", activated_at)


def generation(version, *, cpu_ms=0.0, backbone="Tiny", model=MODEL, **changes):
    manifest = ArtifactManifest(
        model_type=model.upper(),
        backbone=backbone,
        labels=("양호", "불량"),
        input_pixels=224,
        feature_width=3,
        engines={},
        files={},
        golden=Golden("golden.npz"),
        run_id="run-1",
        dataset_id="DS-2026-001",
    )
    return Generation(origin(version, **changes), manifest, Engine(), precision="f32", cpu_ms=cpu_ms)


class FakeLoader:
    """Loads whatever is asked for, unless `fails` names an error for it; `before` is called first, with the version.

    `go_on` is that of the load that began last.
    """

    def __init__(self):
        self.loaded = []
        self.fails = {}
        self.before = lambda version: None
        self.cpu_ms = {}
        self.backbones = {}
        self.kept_files = None

    def load(self, model, origin, go_on=lambda: None):
        version, self.go_on = origin.version, go_on
        self.before(version)
        if version in self.fails:
            raise self.fails[version]
        cpu_ms, backbone = self.cpu_ms.get(version, 0.0), self.backbones.get(version, "Tiny")
        made = generation(version, cpu_ms=cpu_ms, backbone=backbone, model=model)
        made.origin = origin
        self.loaded.append(made)
        return Loaded(made, 2.0, 1.0)

    def forget_all_but(self, needed, loading):
        self.kept_files = {one.version for one in (*needed, *loading)}

    @property
    def versions(self):
        return [one.version for one in self.loaded]


class Replica:
    """`restarted` is a new process on the same disk."""

    def __init__(self, folder, loader=None, **keeping):
        self.folder = folder
        self.keeping = keeping
        self.loader = loader or FakeLoader()
        self.serving_told = []
        self.metrics = Metrics(MODELS)
        self.changes = Changes(self.metrics, self.serving_told.append)
        rules = Rules(Keeping(**{"drain_seconds": 0.2, **keeping}), Limits())
        self.manager = ModelLifecycleManager(MODELS, self.loader, folder, self.changes, rules)

    def restarted(self, champion=None):
        made = Replica(self.folder, self.loader, **self.keeping)
        made.problems = made.restore({MODEL: champion} if champion else {})
        return made

    def restore(self, champions):
        """The first error of each model that does not serve what it should; None: the registry cannot be asked."""
        words = {MODEL: Word(given=False)} if champions is None else {one: Word(of) for one, of in champions.items()}
        return {model: problem.error for model, problem in self.manager.restore(words).items()}

    def prepare(self, version, **options):
        return self.manager.prepare(MODEL, origin(version), **options)

    def activate(self, version, epoch=-1, **order):
        return self.manager.activate(MODEL, version, Order(expected_epoch=epoch, **order))

    def update(self, version, **order):
        return self.manager.update(MODEL, origin(version), Order(**order))

    def serve(self, *versions):
        for version in versions:
            self.prepare(version)
            done = self.activate(version)
        return done

    def rollback(self, version="", epoch=-1, **order):
        return self.manager.rollback(MODEL, version, Order(expected_epoch=epoch, **order))

    def try_out(self, version, percent=10, *, shadow=False, **order):
        return self.manager.set_canary(MODEL, version, percent, shadow=shadow, order=Order(**order)).canary

    def promote(self, version, epoch=-1, **order):
        return self.manager.promote_canary(MODEL, version, Order(expected_epoch=epoch, **order))

    def abort(self, version, reason="as asked", **order):
        self.manager.abort_canary(MODEL, version, reason, Order(**order))

    def discard(self, version, **order):
        self.manager.discard(MODEL, version, Order(**order))

    @property
    def now(self):
        return self.manager.snapshot(MODEL)

    @property
    def serving(self):
        return self.now.active.version if self.now.active else None

    @property
    def previous(self):
        return self.now.previous.version if self.now.previous else None

    @property
    def trial(self):
        return self.now.canary.version if self.now.canary else None

    @property
    def prepared(self):
        return [one.version for one in self.now.prepared]

    @property
    def history(self):
        """Each version once, what served last at the end."""
        return [one.version for one in reversed(self.now.history.versions)]

    @property
    def steps(self):
        return [one.version for one in self.now.history.entries]

    def engine(self, version):
        """The newest one of a version."""
        return next(one.engine for one in reversed(self.loader.loaded) if one.version == version)

    def settle(self):
        """Wait until what is done aside is done, and what that begins; a busy machine takes its time."""
        deadline = time.monotonic() + 60
        while at_work := [thread for thread in threading.enumerate() if thread.name == "disposal"]:
            at_work[0].join(deadline - time.monotonic())
            assert time.monotonic() < deadline, "what is not needed any more is not freed"

    def metric(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, {"model": MODEL, **labels})
