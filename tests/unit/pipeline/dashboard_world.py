"""The dashboard over the fakes of a `World`."""

from contextlib import nullcontext
from types import SimpleNamespace

from pipeline.bootstrap.dashboard import Dashboard
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.retraining import RetrainingPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.ports.bundles import Overseeing, Proving, Records
from tests.fakes.data import FakeDatasets, FakeWithholdings
from tests.fakes.events import FakeDeadLetters, FakeTroubles
from tests.fakes.overview import FakeSightings
from tests.unit.pipeline.steps.live_world import World


class Overlooked:
    """`dashboard` shows `world`; what the fleet says can be replaced by `fleet`."""

    def __init__(self, world=None, fleet=None):
        self.world = world = world or World()
        self.letters, self.troubles = FakeDeadLetters(), FakeTroubles(world.outbox)
        self.sightings = FakeSightings(world.readings, world.versions, world.blessings, world.trained, world.outbox)
        self.sightings.withholdings = self.withholdings = FakeWithholdings(world.confirmations)
        self.fleet, self.datasets = fleet or world.fleet, FakeDatasets()
        settings = SimpleNamespace(retraining=RetrainingPolicy(), live=LiveAccuracyPolicy(), administrators=())
        wiring = SimpleNamespace(
            settings=settings, fleet=self.fleet, dead_letters=self.letters, objects=world.objects, clock=world.clock
        )
        live = SimpleNamespace(
            one_moment=lambda: nullcontext(self.overseeing), canary_policy=CanaryPolicy(), proving=self.proving
        )
        self.dashboard = Dashboard(wiring, live)

    @property
    def proving(self):
        w = self.world
        records = Records(w.trained, self.datasets, w.versions, w.transitions, w.objects, "s3://datasets/")
        return Proving(records, w.blessings, w.objects)

    @property
    def overseeing(self):
        w = self.world
        return Overseeing(
            w.transitions, w.confirmations, w.runs, self.troubles, self.sightings, w.metrics, self.fleet, w.clock
        )
