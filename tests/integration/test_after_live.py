"""After a model is live, with a real PostgreSQL, real S3 and two real replicas."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.glacier import GlacierArchive
from pipeline.adapters.live_metrics import LiveMetricsView
from pipeline.adapters.reading_table import ReadingTable
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.domain.errors import ArchiveDamaged, ServiceUnavailable, StaleTransition, TryAgain
from pipeline.domain.ledger import PREVIOUS, RollbackRequest
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.models import Artifact, ModelType, Status
from pipeline.domain.retention import RetentionPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.domain.transitions import By, Kind, Phase, TrialOf
from pipeline.ports.bundles import Deployment, Keeping, Monitoring
from pipeline.steps.hot_swap import hot_swap
from pipeline.steps.judge_canary import judge_canary
from pipeline.steps.promote_canary import promote_canary
from pipeline.steps.reconcile import reconcile
from pipeline.steps.restore import restore
from pipeline.steps.retire import retire
from pipeline.steps.roll_back import roll_back
from pipeline.steps.start_canary import start_canary
from pipeline.steps.watch import watch
from tests.accepted import accepted_version
from tests.builders import an_event
from tests.contract.test_fleet import Real, until_ready
from tests.contract.test_tables import Tables
from tests.fakes.deployment import FakeRegistry
from tests.tiny_model import tiny_artifact

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("judged")]

LAUNDRY = ModelType.LAUNDRY
ARCHIVE = "s3://models/archive/"


class World:
    def __init__(self, services, folder, **more):
        self.services, self.replicas = services, Real(folder, **more)
        self.fleet, self.tables, self.clock = self.replicas.fleet, Tables(services.mlops), SystemClock()
        self.metrics, self.readings = LiveMetricsView(services.mlops), ReadingTable(services.mlops)
        self.objects = S3ObjectStore(endpoint=services.stack.s3_endpoint)
        self.archive = GlacierArchive(endpoint=services.stack.s3_endpoint)
        self.registry = FakeRegistry()

    @property
    def deployment(self):
        t = self.tables
        return Deployment(t.versions, t.blessings, t.transitions, self.fleet, self.registry, t.outbox, self.clock)

    @property
    def keeping(self):
        t = self.tables
        return Keeping(t.versions, t.transitions, self.fleet, t.runs, self.objects, self.archive, self.clock)

    @property
    def ledger(self):
        return self.tables.transitions.ledger(LAUNDRY)

    def champion(self):
        return self.ledger.champion

    def register(self, version):
        return accepted_version(self.tables, self.registry, version, self.replicas.artifact(version))

    def live(self, *versions):
        for version in versions:
            self.hot_swap(self.register(version))
        return self

    def hot_swap(self, version, deployment=None):
        return hot_swap(deployment or self.deployment, LAUNDRY, version, by(f"promotion of {version}"))

    def start(self, version, deployment=None):
        return start_canary(deployment or self.deployment, LAUNDRY, version, 10, by("run-1"))

    def reconcile(self):
        return reconcile(self.deployment, LAUNDRY)

    def confirm(self, agreed, wrong, version):
        def event(n):
            right = n < agreed
            return an_event(
                f"{version}-{n}-{datetime.now(UTC).timestamp()}",
                ai_result="양호" if right else "불량",
                corrected=not right,
                model_version=version,
                confirmed_at=datetime.now(UTC),
            )

        self.tables.confirmations.store([event(n) for n in range(agreed + wrong)])

    def watch(self):
        monitoring = Monitoring(self.tables.transitions, self.metrics, self.readings, self.tables.outbox, self.clock)
        return watch(monitoring, LAUNDRY, LiveAccuracyPolicy(matured_minutes=0))

    def roll_back(self, request="one", target=PREVIOUS, judged=None, asked_at=None):
        asked = RollbackRequest(target, asked_at or self.clock.now(), judged)
        return roll_back(self.deployment, LAUNDRY, asked, by(request))

    def serving(self):
        return {s.version for s in self.fleet.serving(LAUNDRY)}

    def events(self):
        return [event.type for event in self.tables.outbox.pending()]

    def demand_one_story(self, champion):
        """Log, rows, replicas and registry all say the same (invariant I4)."""
        assert self.serving() == {champion} == {self.champion()}
        active = [v.version for v in self.tables.versions.all(LAUNDRY) if v.status is Status.ACTIVE]
        assert active == [champion]
        assert self.registry.aliases[LAUNDRY]["champion"] == champion
        assert (self.ledger.unsettled, self.ledger.incomplete) == ((), None)


def by(request, reason="too strict"):
    return By("kim", reason, request)


@pytest.fixture
def world(services, tmp_path):
    made = World(services, tmp_path)
    yield made
    made.replicas.close()


def test_a_bad_champion_is_seen_and_taken_down_everywhere(world):
    world.live("v1.0.0", "v1.1.0")
    world.confirm(500, 20, "v1.0.0")
    world.confirm(15, 135, "v1.1.0")
    seen = world.watch()
    assert (seen.decision.act, seen.decision.target) == (True, "v1.0.0")
    done = world.roll_back(target=seen.decision.target, judged=seen.reading.version)
    assert world.serving() == {"v1.0.0"}
    assert (done.change.kind, done.swap.missing) == (Kind.ROLLBACK_AUTO, {})
    assert not world.watch().decision.act
    assert world.events()[-2:] == ["LiveAccuracyLowEvent", "ModelRolledBackEvent"]


def test_a_rollback_that_reached_nobody_has_failed_until_another_one_serves(world):
    """What the drill makes RollbackFailed fire with."""
    world.live("v1.0.0", "v1.1.0")
    for server in world.replicas.servers:
        server.stop()
    with pytest.raises(ServiceUnavailable, match=r"no replica could be brought back to v1\.0\.0"):
        world.roll_back()
    assert world.ledger.failed_rollback is None, "nobody could be asked what serves"
    for which in (0, 1):
        world.replicas.start_one(which)
    until_ready(world.replicas)
    world.reconcile()
    assert world.ledger.failed_rollback.act.version == "v1.0.0"
    for request, target in (("two", PREVIOUS), ("three", "v1.1.0")):
        world.roll_back(request, target)
    assert world.ledger.failed_rollback is None
    world.demand_one_story("v1.1.0")


def test_two_rollbacks_at_once_take_one_step_back(world):
    world.live("v1.0.0", "v1.1.0", "v1.2.0")
    asked_at, ended = world.clock.now(), []

    def press(name):
        try:
            ended.append(world.roll_back(name, asked_at=asked_at).change.version)
        except StaleTransition as error:
            ended.append(error)

    people = [threading.Thread(target=press, args=(name,)) for name in ("kim", "lee")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(map(type, ended), key=str) == [StaleTransition, str]
    assert world.serving() == {"v1.1.0"} == {world.champion()}


def test_a_rollback_without_one_replica_is_incomplete_until_reconcile_finds_it_back(world):
    world.live("v1.0.0", "v1.1.0")
    world.replicas.stop_one()
    done = world.roll_back("one")
    (missing,) = done.swap.missing
    assert world.champion() == "v1.0.0"
    assert missing in world.ledger.incomplete.detail
    assert f"not every replica came back to v1.0.0: {missing} does not answer" in world.watch().problem
    assert world.events()[-2:] == ["ModelRolledBackEvent", "RollbackIncompleteEvent"]
    # It is still away: nothing is complete, and nothing is told twice.
    assert list(world.reconcile().missing) == [missing]
    assert world.ledger.incomplete is not None
    world.replicas.start_one()
    until_ready(world.replicas)
    assert world.serving() == {"v1.0.0", "v1.1.0"}
    assert world.reconcile().repaired == (missing,)
    world.demand_one_story("v1.0.0")
    assert world.watch().problem is None
    assert world.events().count("RollbackIncompleteEvent") == 1


class Fleet:
    """The real fleet, of which nobody learns anything while `silent`."""

    def __init__(self, fleet):
        self._fleet, self.silent = fleet, False

    def __getattr__(self, name):
        return getattr(self._fleet, name)

    def activate(self, model_type, prepared):
        """The replicas do it; the way back is cut."""
        self._fleet.activate(model_type, prepared)
        self.silent = True
        raise ServiceUnavailable("faceserve", "the connection was lost")

    def serving(self, model_type):
        found = self._fleet.serving(model_type)
        return [replace(one, version=None, fault="does not answer") for one in found] if self.silent else found


def test_a_swap_whose_end_nobody_saw_is_unconfirmed_and_settled_later_with_one_event(world):
    world.live("v1.0.0")
    version, told = world.register("v1.1.0"), len(world.events())
    with pytest.raises(TryAgain):
        world.hot_swap(version, replace(world.deployment, fleet=Fleet(world.fleet)))
    assert world.ledger.entries[-1].phase is Phase.UNCONFIRMED
    assert (world.champion(), world.serving(), world.events()[told:]) == ("v1.0.0", {version}, [])
    (open_change,) = world.ledger.unsettled
    for settled in ((open_change.id,), ()):
        assert world.reconcile().settled == settled
    world.demand_one_story(version)
    assert world.events()[told:] == ["ModelDeployedEvent"]
    # The same request again finds its work done.
    assert world.hot_swap(version).swap is None
    assert world.events()[told:] == ["ModelDeployedEvent"]


class Log:
    """The real log, whose database goes away when the start of a canary is to be noted."""

    def __init__(self, log):
        self._log = log

    def __getattr__(self, name):
        return getattr(self._log, name)

    def append(self, ledger, *entries, events=()):
        if any(entry.phase is Phase.NOTED for entry in entries):
            raise ServiceUnavailable("the mlops database", "connection refused")
        return self._log.append(ledger, *entries, events=events)


def test_a_canary_whose_start_was_not_noted_is_taken_off_by_reconcile(world):
    world.live("v1.0.0")
    version, told = world.register("v1.1.0"), len(world.events())
    with pytest.raises(ServiceUnavailable):
        world.start(version, replace(world.deployment, transitions=Log(world.tables.transitions)))
    assert {(c.version, c.running) for c in world.fleet.canaries(LAUNDRY)} == {(version, True)}
    (intent,) = world.ledger.unsettled
    assert world.reconcile().settled == (intent.id,)
    assert not any(c.running for c in world.fleet.canaries(LAUNDRY))
    assert world.ledger.trial is None
    world.demand_one_story("v1.0.0")
    assert "CanaryStartedEvent" not in world.events()[told:]


def test_a_database_that_restarts_during_a_rollback_lets_nobody_overwrite_the_log(world):
    """Its lock is gone with the session: somebody else acts, and the first one's word does not count any more."""
    world.live("v1.0.0", "v1.1.0", "v1.2.0")
    first = Restarting(world)
    with pytest.raises(StaleTransition):
        roll_back(
            replace(world.deployment, fleet=first), LAUNDRY, RollbackRequest("v1.0.0", world.clock.now()), by("first")
        )
    assert first.other.change.version == "v1.1.0"
    assert world.champion() == "v1.1.0"
    world.reconcile()
    world.demand_one_story("v1.1.0")


class Restarting:
    """The real fleet; while a version comes back the database restarts, and another person rolls back."""

    def __init__(self, world):
        self._world = world

    def __getattr__(self, name):
        return getattr(self._world.fleet, name)

    def bring_back(self, *values):
        swap = self._world.fleet.bring_back(*values)
        with self._world.services.without("postgres"):
            pass
        self.other = self._world.roll_back("other", target="v1.1.0")
        return swap


def test_a_canary_is_judged_by_what_people_say_of_its_own_verdicts(world):
    world.live("v1.0.0")
    version = world.register("v1.1.0")
    world.start(version)

    def judged():
        return judge_canary(world.deployment, world.metrics, LAUNDRY, TrialOf(version), CanaryPolicy()).decision

    world.confirm(950, 50, "v1.0.0")
    assert judged() == "wait"
    world.confirm(98, 2, version)
    assert judged() == "promote"
    promote_canary(world.deployment, LAUNDRY, version, by("run-1", "98/100"))
    world.demand_one_story(version)


def put_in_s3(world, version):
    """A version registered with an artifact that really lies in S3."""
    uri = f"s3://models/LAUNDRY/{version}/"
    files = tiny_artifact(sharpness=4.0 + int(version.split(".")[1]))
    world.replicas.artifact = lambda _: Artifact(uri, [s.put(uri, files) for s in world.replicas.sources][0])
    for path, body in files.items():
        world.objects.write(uri + path, body)
    world.live(version)


def test_an_archived_version_comes_back_whole_or_not_at_all(world):
    for number in range(3):
        put_in_s3(world, f"v1.{number}.0")
    done = retire(world.keeping, LAUNDRY, RetentionPolicy(1), by("sunday"), ARCHIVE)
    assert (done.archived, done.failed) == (("v1.0.0",), {})
    assert not world.objects.exists("s3://models/LAUNDRY/v1.0.0/openvino/model.xml")
    uri = f"{ARCHIVE}LAUNDRY/v1.0.0/openvino/model.xml"
    whole = world.archive.fetch(uri)
    world.archive.keep(uri, whole[:-1])
    with pytest.raises(ArchiveDamaged, match=r"model\.xml is not what was recorded"):
        restore(world.keeping, LAUNDRY, "v1.0.0", by("back"), ARCHIVE)
    assert world.tables.versions.get(LAUNDRY, "v1.0.0").status is Status.ARCHIVED
    world.archive.keep(uri, whole)
    restore(world.keeping, LAUNDRY, "v1.0.0", by("back"), ARCHIVE)
    assert world.tables.versions.get(LAUNDRY, "v1.0.0").status is Status.RETIRED
    world.roll_back(target="v1.0.0")
    assert world.serving() == {"v1.0.0"}


def test_a_clock_that_jumped_a_day_back_and_confirmations_a_year_late_lead_to_nothing(world):
    world.live("v1.0.0", "v1.1.0")
    old = datetime.now(UTC) - timedelta(days=365)
    events = [an_event(f"late-{n}", model_version="v1.1.0", confirmed_at=old) for n in range(200)]
    world.tables.confirmations.store(events)
    assert world.watch().reading.confirmed == 0
    world.confirm(0, 200, "v1.1.0")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    world.clock = type("Yesterday", (), {"now": staticmethod(lambda: yesterday)})()
    assert not world.watch().decision.act
