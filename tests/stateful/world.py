"""The world of the deployment steps, with real files, scripted confirmations, and replicas that load what is stored."""

import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipeline.domain.blessing import Override, OverrideKind
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.history import History
from pipeline.domain.live_accuracy import LabelTally, Period, Tally
from pipeline.domain.models import Artifact
from pipeline.domain.transitions import Phase
from pipeline.domain.verification import VerificationPolicy
from pipeline.ports.bundles import Pruning
from pipeline.steps.register import register
from tests.builders import MANIFEST, a_blessing, a_performance, a_training_result, a_validation
from tests.fakes.data import FakeDatasets, FakeErasures
from tests.fakes.deployment import FakeTransitions
from tests.fakes.events import FakeClock, FakeDecisions
from tests.fakes.faces import FakeFaceLooks
from tests.fakes.faults import Fault
from tests.fakes.fleet import FakeFleet
from tests.fakes.replica import Origin
from tests.fakes.training import FakeExperiments
from tests.unit.pipeline.steps.live_world import LAUNDRY, TOO_WEAK, World

VERDICTS = ("accepted", "refused", "held", "approved")


@dataclass
class Opinions:
    """What people say of each version: how many of a hundred and fifty confirmations agree."""

    clock: FakeClock
    agreed: dict[str, int] = field(default_factory=dict)

    def tally(self, history: History, version: str, period: Period) -> Tally:
        if version not in self.agreed:
            return Tally()
        return Tally((LabelTally("양호", 150, self.agreed[version]),), self.clock.at)

    def newest(self, history: History, version: str, period: Period, count: int) -> Tally:
        return self.tally(history, version, period)

    def blind(self, history: History, version: str, period: Period) -> Tally:
        return Tally()

    def by_version(self, history: History, period: Period) -> dict[str, tuple[LabelTally, ...]]:
        return {}


@dataclass
class LockedTransitions(FakeTransitions):
    """Nothing is appended but by whoever holds the lock: the log then is as an emergency read it.

    `lost` are phases that the database is down for.
    """

    lost: set[Phase] = field(default_factory=set)
    holders: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def _locked(self, name):
        with super()._locked(name):
            self.holders[name] = threading.get_ident()
            yield

    @property
    def emergencies_wait(self):
        """For this very act."""
        name = f"champion of {LAUNDRY}"
        return name in self.held and self.holders[name] == threading.get_ident()

    def append(self, ledger, *entries, events=()):
        assert f"champion of {ledger.model_type}" in self.held, f"{entries} outside the lock"
        if self.lost & {entry.phase for entry in entries}:
            raise ServiceUnavailable("the mlops database", "connection refused")
        return super().append(ledger, *entries, events=events)


class WatchedFleet(FakeFleet):
    """Loads nothing while an emergency would have to wait for it, but for an emergency."""

    emergencies_wait = staticmethod(lambda: False)

    def prepare(self, *asked):
        assert not self.emergencies_wait(), f"{asked} is loaded while a rollback has to wait"
        return super().prepare(*asked)

    def warm(self, *asked):
        assert not self.emergencies_wait(), f"{asked} is loaded while a rollback has to wait"
        return super().warm(*asked)


@dataclass
class Made:
    """Datasets, one a run; nobody asks for their photos."""

    world: "StatefulWorld"

    def of_type(self, model_type):
        return self.frozen_of()

    def frozen(self):
        return [(dataset, LAUNDRY, run) for dataset, run in self.frozen_of()]

    def frozen_of(self):
        return [(result.dataset_id, run) for run, result in self.world.trained.results.items()]


class StatefulWorld(World):
    def __init__(self):
        super().__init__()
        self.fleet = WatchedFleet(clock=self.clock)
        self.metrics = Opinions(self.clock)
        self.transitions = LockedTransitions(self.versions, self.outbox, self.blessings)
        # The real log has no such word: there a lock is PostgreSQL's.
        self.fleet.emergencies_wait = lambda: getattr(self.transitions, "emergencies_wait", False)
        self.fleet.objects = self.objects
        for replica in self.fleet.replicas.values():
            replica.objects = self.objects

    def train(self, run_id, verdict="accepted", against=...):
        """A trained run with files of its own, and what verification said of it."""
        uri = f"s3://models/LAUNDRY/{run_id}/"
        model = run_id.encode()
        manifest = {**json.loads(MANIFEST), "files": {"model.bin": hashlib.sha256(model).hexdigest()}}
        body = json.dumps(manifest).encode()
        self.objects.write(f"{uri}model.bin", model)
        self.objects.write(f"{uri}manifest.json", body)
        sha256 = hashlib.sha256(body).hexdigest()
        self.trained.succeed(a_training_result(run_id, dataset_id=self.dataset_of(run_id), manifest_sha256=sha256))
        against = self.champion() if against is ... else against
        load = VerificationPolicy().judge_performance(a_performance())
        good = verdict == "accepted"
        verdict_on_it = a_blessing(
            run_id,
            accepted=good,
            held=verdict in {"held", "approved"},
            reasons=() if good else (TOO_WEAK.reason,),
            checks=(a_validation(), *(() if good else (TOO_WEAK,)), *load),
            champion_version=against,
            first_model=against is None,
            artifact_manifest_sha256=sha256,
        )
        self.blessings.grant(verdict_on_it, None)
        if verdict == "approved":
            self.blessings.override(Override(run_id, OverrideKind.APPROVED, "kim", "looked at it", self.clock.now()))

    def dataset_of(self, run_id):
        return f"dataset-of-{run_id}"

    def pruning(self, fault=None):
        bundle = Pruning(
            *(
                Made(self),
                FakeErasures(FakeDatasets()),
                self.trained,
                self.runs,
                self.versions,
                self.blessings,
                self.transitions,
            ),
            *(
                self.readings,
                FakeDecisions(),
                FakeFaceLooks(),
                self.outbox,
                FakeExperiments(),
                self.objects,
                self.clock,
            ),
            *("s3://datasets/", "s3://models/"),
        )
        return (fault or Fault()).on_ports(bundle, but=("clock", "blessings"))

    def register(self, run_id, fault=None):
        return register(self.registration(fault), LAUNDRY, self.trained.result(run_id)).version

    def candidate(self, run_id, verdict="accepted"):
        self.train(run_id, verdict)
        return self.register(run_id)

    def restart(self, name):
        """The replica asks the registry before it is ready."""
        named = self.registry.aliases.get(LAUNDRY, {}).get("champion")
        champion = None
        if named is not None:
            artifact: Artifact = self.versions.get(LAUNDRY, named).artifact
            champion = Origin(named, artifact, self.registry.promoted_at[named])
        self.fleet.restart(name, champion)
