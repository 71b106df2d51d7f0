"""Verification as the pipeline does it: real model servers over gRPC, real S3, a real table of checks."""

import hashlib
import json
import os
import re
import signal
import threading
from pathlib import Path

import boto3
import psutil
import pytest

from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.check_table import CheckTable
from pipeline.adapters.erasure_table import ErasureTable
from pipeline.adapters.s3 import S3ObjectStore, S3PhotoStore
from pipeline.adapters.trial_server import FaceserveTrialServer
from pipeline.adapters.verification_report import HtmlReportPrinter
from pipeline.domain.blessing import WhenInconclusive
from pipeline.domain.checks import LoadTest
from pipeline.domain.comparison import ComparisonPolicy
from pipeline.domain.dataset import Manifest, Split
from pipeline.domain.errors import ModelRefused, ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.verification import VerificationPolicy
from pipeline.ports.bundles import Verification
from pipeline.steps.contest import Contest
from pipeline.steps.decide import decide
from pipeline.steps.report_verdict import report_verdict
from pipeline.steps.verify_accuracy import verify_accuracy
from pipeline.steps.verify_performance import verify_performance
from tests.builders import a_dataset, a_model_version, a_photo, a_training_result
from tests.fakes.events import FakeClock
from tests.fakes.training import FakeExperiments
from tests.integration.test_bad_artifacts import fourteen_gigabytes
from tests.tiny_model import grey_photo, manifest_sha256, network, tiny_artifact

pytestmark = pytest.mark.integration

LABELS = ("양호", "불량")
LAUNDRY = ModelType.LAUNDRY
# A busy test machine is no slow model, and a tiny one may be as much better as it likes.
POLICY = VerificationPolicy(
    max_mean_latency_ms=2000,
    min_throughput_per_second=5,
    min_support=10,
    comparison=ComparisonPolicy(min_holdout_photos=30, max_gain=1.0),
)


class World:
    """Sixty photos, every second one dark and defective, in S3; `put` uploads an artifact."""

    def __init__(self, services):
        endpoint = services.stack.s3_endpoint
        self.store = boto3.client("s3", endpoint_url=endpoint)
        self.objects = S3ObjectStore(endpoint=endpoint)
        self.photos = S3PhotoStore(endpoint=endpoint, buckets=frozenset({"tasks"}))
        self.mlops = services.mlops
        self.trials = FaceserveTrialServer(s3_endpoint=endpoint)
        self.checks, self.blessings = CheckTable(services.mlops), BlessingTable(services.mlops)
        bodies = [grey_photo((20 if LABELS[n % 2] == "불량" else 200) + n // 2) for n in range(60)]
        rows = tuple(
            a_photo(
                n,
                sha256=hashlib.sha256(bodies[n]).hexdigest(),
                split=Split.VALIDATION if n < 30 else Split.HOLDOUT,
                label=LABELS[n % 2],
                corrected=bool(n % 2),
                brightness=0.1 if n % 2 else 0.9,
            )
            for n in range(60)
        )
        for row, body in zip(rows, bodies, strict=True):
            self.store.put_object(Bucket="tasks", Key=f"{row.task_id}.jpg", Body=body)
        self.manifest = Manifest("DS-2026-001", "LAUNDRY", LABELS, None, None, rows)

    def put(self, run_id, files):
        for path, body in files.items():
            self.store.put_object(Bucket="models", Key=f"LAUNDRY/{run_id}/{path}", Body=body)
        said = {row.task_id: row.label for row in self.manifest.of(Split.VALIDATION)}
        uri = f"s3://models/LAUNDRY/{run_id}/"
        self.objects.write(f"{uri}trainer-predictions.json", json.dumps(said).encode())
        return Artifact(uri, manifest_sha256(files))

    def champion(self):
        """Always says 양호: right on half of the photos."""
        return a_model_version("v1.0.0", artifact=self.put("old", tiny_artifact(sharpness=0.0, run_id="old")))

    def contest(self, candidate, champion=None):
        return Contest("run-1", LAUNDRY, candidate, champion, self.manifest)

    def verification(self):
        return Verification(
            photos=self.photos,
            erasures=ErasureTable(self.mlops),
            trials=self.trials,
            checks=self.checks,
            blessings=self.blessings,
            objects=self.objects,
            printer=HtmlReportPrinter(),
            experiments=FakeExperiments(),
            clock=FakeClock(),
            labels=LABELS,
            policy=POLICY,
            load_test=LoadTest(requests=200),
            when_inconclusive=WhenInconclusive.FLOORS,
            code={"git_commit": "abc", "code_version": "def"},
        )

    def verify(self, contest, side_by_side=False):
        parts = (verify_accuracy, verify_performance)
        if not side_by_side:
            return [part(self.verification(), contest) for part in parts]
        threads = [threading.Thread(target=part, args=(self.verification(), contest)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return []

    def decide(self, candidate):
        result = a_training_result(
            "run-1", artifact_uri=candidate.uri, manifest_sha256=candidate.manifest_sha256, experiment_run_id="m"
        )
        blessing = decide(self.verification(), result, a_dataset())
        report_verdict(self.verification(), blessing, result, a_dataset())
        return blessing


@pytest.fixture
def world(services):
    return World(services)


def test_a_better_candidate_is_proven_so_by_real_servers(world):
    candidate = world.put("run-1", tiny_artifact())
    world.verify(world.contest(candidate, world.champion()))
    blessing = world.decide(candidate)
    assert (blessing.reasons, blessing.doubts, blessing.accepted) == ((), (), True)
    measured = {check.name: check for check in blessing.checks}
    assert (measured["better_than_champion"].value, measured["better_than_champion"].bar) == (1.0, 0.5)
    assert measured["mean_latency_ms"].value > 0 and measured["memory_bytes"].value > 10_000_000
    page = world.objects.read(f"{candidate.uri}verification-report.html").decode()
    assert "Accepted, and proven better" in page


# What does not even load is tried in eighteen kinds elsewhere (test_bad_artifacts).
BAD = {
    "other labels": (lambda: tiny_artifact(labels=("양호", "불량", "보류")), "shape"),
    "too big": (lambda: tiny_artifact(served=network(detour=fourteen_gigabytes)), "fails on|cannot load|memory|down"),
    "labels swapped": (lambda: tiny_artifact(labels=("불량", "양호")), "validation_accuracy 0,"),
    "constant": (lambda: tiny_artifact(sharpness=0.0), "class_accuracy.불량 0,"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_candidate_gets_a_verdict_with_the_reason(world, kind):
    make, reason = BAD[kind]
    candidate = world.put("run-1", make())
    world.verify(world.contest(candidate), side_by_side=True)
    blessing = world.decide(candidate)
    assert not blessing.accepted
    assert re.search(reason, "; ".join(blessing.reasons))


def test_a_champion_whose_artifact_is_gone_is_said_and_not_beaten(world):
    candidate, champion = world.put("run-1", tiny_artifact()), world.champion()
    world.store.delete_object(Bucket="models", Key="LAUNDRY/old/manifest.json")
    world.verify(world.contest(candidate, champion))
    (reason,) = world.decide(candidate).reasons
    assert "champion v1.0.0 was not measured" in reason and "missing" in reason


def test_a_model_that_takes_its_server_down_is_refused(world):
    candidate = world.put("run-1", tiny_artifact())
    with world.trials.serve(LAUNDRY, "run-1", candidate) as trial:
        os.kill(trial._process.pid, signal.SIGKILL)
        with pytest.raises(ModelRefused, match="takes its server down"):
            trial.classify([grey_photo(20)])


def test_no_connection_of_this_machine_may_take_a_port_of_a_trial_before_it_listens(world, monkeypatch):
    """Those two it has, whatever doors a file for every program gives the replicas."""
    for one in ("LIFECYCLE_TOKEN_FILE", "TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA"):
        monkeypatch.setenv(f"FACESERVE_{one}", "/only/in/replicas")
    monkeypatch.setenv("FACESERVE_HTTP_PORT", "0")
    of_outgoing_ones = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    before = psutil.Process().children()
    with world.trials.start(LAUNDRY):
        (server,) = [one for one in psutil.Process().children() if one not in before]
        ports = {one.laddr.port for one in server.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
    assert len(ports) == 2 and max(ports) < of_outgoing_ones


def test_one_server_tries_one_version_after_the_other_until_one_takes_it_down(world):
    bad = world.put("bad", {"manifest.json": b"{}"})
    better, champion = world.put("run-1", tiny_artifact()), world.champion()
    dark = [grey_photo(20)]
    with world.trials.start(LAUNDRY) as server:
        assert list(server.load("v1.0.0", champion.artifact).classify(dark)) == ["양호"]
        with pytest.raises(ModelRefused):
            server.load("v1.1.0", bad)
        trial = server.load("v1.2.0", better)
        assert list(trial.classify(dark)) == ["불량"]
        os.kill(trial._process.pid, signal.SIGKILL)
        trial._process.wait()
        with pytest.raises(ServiceUnavailable, match=r"it ended before v1\.0\.0 was loaded"):
            server.load("v1.0.0", champion.artifact)


def test_an_outage_of_the_store_is_no_fault_of_the_model(world):
    candidate = world.put("run-1", tiny_artifact())
    trials = FaceserveTrialServer(s3_endpoint="http://127.0.0.1:9")
    with pytest.raises(ServiceUnavailable), trials.serve(LAUNDRY, "run-1", candidate):
        pytest.fail("no model can be loaded without a store")
