"""After a model is live, with a real PostgreSQL, real S3 and two real replicas."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.glacier import GlacierArchive
from pipeline.adapters.live_metrics import LiveMetricsView
from pipeline.adapters.reading_table import ReadingTable
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.domain.errors import ArchiveDamaged, ServiceUnavailable, StaleTransition
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.models import Artifact, Kind, ModelType, Status
from pipeline.domain.retention import RetentionPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.steps.hot_swap import hot_swap
from pipeline.steps.judge_canary import judge_canary
from pipeline.steps.promote_canary import promote_canary
from pipeline.steps.restore import restore
from pipeline.steps.retire import retire
from pipeline.steps.roll_back import RollbackRequest, roll_back
from pipeline.steps.start_canary import start_canary
from pipeline.steps.watch import watch
from tests.builders import a_model_version, an_event
from tests.contract.test_fleet import Real, until_ready
from tests.contract.test_tables import Tables, a_blessing, a_completed_dataset
from tests.fakes.deployment import FakeRegistry
from tests.tiny_model import tiny_artifact

pytestmark = pytest.mark.integration

LAUNDRY = ModelType.LAUNDRY


class World:
    def __init__(self, services, folder):
        self.replicas = Real(folder)
        self.fleet, self.tables, self.clock = self.replicas.fleet, Tables(services.mlops), SystemClock()
        self.metrics, self.readings = LiveMetricsView(services.mlops), ReadingTable(services.mlops)
        self.objects = S3ObjectStore(endpoint=services.stack.s3_endpoint)
        self.archive = GlacierArchive(endpoint=services.stack.s3_endpoint)
        self.registry = FakeRegistry()

    def ports(self):
        t = self.tables
        return {
            "versions": t.versions,
            "transitions": t.transitions,
            "fleet": self.fleet,
            "registry": self.registry,
            "clock": self.clock,
        }

    def champion(self):
        served = self.tables.transitions.served(LAUNDRY)
        return served[-1].to_version if served else None

    def register(self, version):
        run_id, artifact = f"run-of-{version}", self.replicas.artifact(version)
        dataset = a_completed_dataset(self.tables, run_id)
        self.tables.versions.register(a_model_version(version, artifact=artifact, dataset_id=dataset.id))
        blessing = a_blessing(
            run_id,
            accepted=True,
            reasons=(),
            champion_version=self.champion(),
            artifact_manifest_sha256=artifact.manifest_sha256,
        )
        self.tables.blessings.grant(blessing, None)
        return version

    def live(self, *versions):
        for version in versions:
            self.register(version)
            hot_swap(LAUNDRY, version, actor="test", reason="test", blessings=self.tables.blessings, **self.ports())
        return self

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
        return watch(
            LAUNDRY,
            policy=LiveAccuracyPolicy(matured_minutes=0),
            transitions=self.tables.transitions,
            versions=self.tables.versions,
            metrics=self.metrics,
            readings=self.readings,
            clock=self.clock,
        )

    def roll_back(self, request="one", target="previous", judged=None, asked_at=None):
        wanted = RollbackRequest(request, target, "kim", "too strict", asked_at or self.clock.now(), judged)
        return roll_back(LAUNDRY, wanted, outbox=self.tables.outbox, **self.ports())

    def serving(self):
        return {s.version for s in self.fleet.serving(LAUNDRY)}


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
    assert (done.transition.kind, done.seconds < 10) == (Kind.ROLLBACK_AUTO, True)
    assert not world.watch().decision.act
    types = [event.type for event in world.tables.outbox.pending()]
    assert types[-2:] == ["LiveAccuracyLowEvent", "ModelRolledBackEvent"]


def test_two_rollbacks_at_once_take_one_step_back(world):
    world.live("v1.0.0", "v1.1.0", "v1.2.0")
    asked_at, ended = world.clock.now(), []

    def press(name):
        try:
            ended.append(world.roll_back(name, asked_at=asked_at).transition.to_version)
        except StaleTransition as error:
            ended.append(error)

    people = [threading.Thread(target=press, args=(name,)) for name in ("kim", "lee")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(map(type, ended), key=str) == [StaleTransition, str]
    assert world.serving() == {"v1.1.0"} == {world.champion()}


def test_with_a_replica_out_of_reach_a_rollback_fails_and_says_so_until_it_is_repeated(world):
    world.live("v1.0.0", "v1.1.0")
    world.replicas.stop_one()
    with pytest.raises(ServiceUnavailable):
        world.roll_back("one")
    assert world.champion() == "v1.1.0"
    assert "the rollback to v1.0.0 failed" in world.watch().problem
    assert world.tables.outbox.pending()[-1].type == "RollbackFailedEvent"
    world.replicas.start_one()
    until_ready(world.replicas)
    assert world.serving() == {"v1.1.0"}
    world.roll_back("two")
    assert (world.serving(), world.watch().problem) == ({"v1.0.0"}, None)


def test_a_canary_is_judged_by_what_people_say_of_its_own_verdicts(world):
    world.live("v1.0.0")
    version = world.register("v1.1.0")
    ports = {name: port for name, port in world.ports().items() if name != "registry"}
    trial = {"request_id": "run-1", "percent": 10, "actor": "kim", "reason": "test"}
    start_canary(LAUNDRY, version, blessings=world.tables.blessings, **trial, **ports)

    def judged():
        return judge_canary(LAUNDRY, version, policy=CanaryPolicy(), metrics=world.metrics, **ports).decision

    world.confirm(950, 50, "v1.0.0")
    assert judged() == "wait"
    world.confirm(96, 4, version)
    assert judged() == "promote"
    promote_canary(
        LAUNDRY,
        version,
        actor="kim",
        reason="96/100",
        blessings=world.tables.blessings,
        outbox=world.tables.outbox,
        **world.ports(),
    )
    assert world.serving() == {version} == {world.champion()}


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
    t, prefix = world.tables, "s3://models/archive/"
    kept = {"objects": world.objects, "archive": world.archive, "archive_prefix": prefix, "actor": "kim"}
    where = {"versions": t.versions, "transitions": t.transitions, "clock": world.clock, **kept}
    done = retire(LAUNDRY, policy=RetentionPolicy(1), dry_run=False, runs=t.runs, fleet=world.fleet, **where)
    assert (done.archived, done.failed) == (("v1.0.0",), {})
    assert not world.objects.exists("s3://models/LAUNDRY/v1.0.0/openvino/model.xml")
    uri = f"{prefix}LAUNDRY/v1.0.0/openvino/model.xml"
    whole = world.archive.fetch(uri)
    world.archive.keep(uri, whole[:-1])
    with pytest.raises(ArchiveDamaged, match=r"model\.xml is not what was recorded"):
        restore(LAUNDRY, "v1.0.0", **where)
    assert t.versions.get(LAUNDRY, "v1.0.0").status is Status.ARCHIVED
    world.archive.keep(uri, whole)
    assert restore(LAUNDRY, "v1.0.0", **where).status is Status.RETIRED
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
