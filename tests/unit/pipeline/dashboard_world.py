"""The dashboard over the fakes of a `World`."""

from contextlib import nullcontext
from types import SimpleNamespace

from pipeline.bootstrap.dashboard import Dashboard
from pipeline.domain.faces.looks import FaceLook, SeenRate
from pipeline.domain.faces.retraining import FaceRetrainingPolicy
from pipeline.domain.faces.watching import FaceState, FaceWatchPolicy
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import RetrainingPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.domain.transitions import By, ChampionChange, Entry, Kind, Phase
from pipeline.ports.bundles import Overseeing, Proving, Records
from tests.builders import NOW
from tests.fakes.data import FakeDatasets, FakeWithholdings
from tests.fakes.events import FakeDeadLetters, FakeTroubles
from tests.fakes.faces import FakeFaceConfirmations, FakeFaceLooks
from tests.fakes.overview import FakeSightings
from tests.unit.pipeline.steps.live_world import World

A_FACE_LOOK = FaceLook(
    *("v1.1.0", NOW, FaceState.WARN, "v1.1.0 refused wrongly 20 of 100 checks of 40 people"),
    *(SeenRate(20, 100, 40, 0.11, 0.33), SeenRate(0, 0, 0, 0.0, 1.0), "nothing was done"),
)


class Overlooked:
    """`dashboard` shows `world`; what the fleet says can be replaced by `fleet`."""

    def __init__(self, world=None, fleet=None):
        self.world = world = world or World()
        self.letters, self.troubles = FakeDeadLetters(), FakeTroubles(world.outbox)
        self.sightings = FakeSightings(world.readings, world.versions, world.blessings, world.trained, world.outbox)
        self.sightings.withholdings = self.withholdings = FakeWithholdings(world.confirmations)
        self.face_looks, self.face_confirmations = FakeFaceLooks(), FakeFaceConfirmations()
        self.fleet, self.datasets = fleet or world.fleet, FakeDatasets()
        policies = {"retraining": RetrainingPolicy(), "live": LiveAccuracyPolicy(), "face_watch": FaceWatchPolicy()}
        policies["face_retraining"] = FaceRetrainingPolicy()
        settings = SimpleNamespace(**policies, administrators=())
        wiring = SimpleNamespace(
            settings=settings, fleet=self.fleet, dead_letters=self.letters, objects=world.objects, clock=world.clock
        )
        live = SimpleNamespace(
            one_moment=lambda: nullcontext(self.overseeing), canary_policy=CanaryPolicy(), proving=self.proving
        )
        self.dashboard = Dashboard(wiring, live)

    def face_serves(self, version="v1.1.0"):
        """A face model went live, and the monitor looked at it."""
        transitions = self.world.transitions
        ledger, by = transitions.ledger(ModelType.FACE), By("lee", "run 1", "run-1")
        act = ChampionChange(f"act-{ledger.position}", ModelType.FACE, version, by, NOW, Kind.PROMOTE, None, "b")
        transitions.append(ledger, Entry(Phase.SERVED, act, NOW))
        self.face_looks.record(A_FACE_LOOK)

    @property
    def proving(self):
        w = self.world
        records = Records(w.trained, self.datasets, w.versions, w.transitions, w.objects, "s3://datasets/")
        return Proving(records, w.blessings, w.objects)

    @property
    def overseeing(self):
        w = self.world
        return Overseeing(
            *(w.transitions, w.confirmations, w.runs, self.troubles, self.sightings, w.metrics, self.face_looks),
            *(self.face_confirmations, self.fleet, w.clock),
        )
