"""What a face model was made of is proven, and what grows with every one goes after its time, as of any model."""

import csv
import io
import zipfile
from datetime import timedelta

import pytest

from pipeline.domain.pruning import PruningPolicy
from pipeline.ports.bundles import Proving, Pruning, Records
from pipeline.steps.prove import prove
from pipeline.steps.prune import prune
from tests.fakes.events import FakeDecisions, FakeOutbox, FakeRetrainingRuns
from tests.fakes.faces import FakeFaceLooks
from tests.fakes.live import FakeReadings
from tests.fakes.training import FakeExperiments, FakeTrainingRuns
from tests.unit.pipeline.steps.faces.world import FACE, PREFIX, World


@pytest.fixture(scope="module")
def served():
    world = World(people=120)
    return world, world.serve()


def pack(world, version):
    r = world.registration()
    records = Records(FakeTrainingRuns(), world.datasets, r.versions, r.transitions, world.objects, PREFIX)
    return zipfile.ZipFile(io.BytesIO(prove(Proving(records, r.blessings, world.objects), FACE, version.version)))


def test_a_proof_lists_every_photo_by_its_hash_and_names_nobody(served):
    world, version = served
    found = pack(world, version)
    rows = list(csv.DictReader(io.StringIO(found.read("photos.csv").decode())))
    dataset = world.collect()
    assert sorted(row["sha256"] for row in rows) == sorted(photo.photo_id for photo in dataset.every_photo())
    assert {row["split"] for row in rows} == {"train", "validation", "holdout"}
    assert not any(b"p000" in found.read(name) for name in found.namelist())
    assert set(found.read("missing.txt").decode().split(": ")[::2]) >= {"training.json"}


def test_a_list_that_is_gone_is_named_among_what_is_missing(served, monkeypatch):
    world, version = served
    manifest = f"{PREFIX}{version.dataset_id}/manifest.json"
    monkeypatch.delitem(world.objects.bodies, manifest)
    assert "photos.csv: nobody knows the photos of DS-2026-001" in pack(world, version).read("missing.txt").decode()


@pytest.mark.parametrize(("days", "gone"), [(89, False), (91, True)])
def test_a_refused_face_model_goes_after_its_time_and_the_verdict_stays(days, gone):
    world = World(people=60)
    blessing, version = world.make()
    assert version is None
    before = world.objects.list("s3://models/FACE/run-1/")
    world.clock.at += timedelta(days=days)
    r = world.registration()
    pruning = Pruning(
        datasets=world.datasets,
        erasures=world.erasures,
        training_runs=FakeTrainingRuns(),
        runs=FakeRetrainingRuns(),
        versions=r.versions,
        blessings=r.blessings,
        transitions=r.transitions,
        readings=FakeReadings(),
        decisions=FakeDecisions(),
        face_looks=FakeFaceLooks(),
        outbox=FakeOutbox(),
        experiments=FakeExperiments(),
        objects=world.objects,
        clock=world.clock,
        dataset_prefix=PREFIX,
        model_prefix="s3://models/",
    )
    done = prune(pruning, FACE, PruningPolicy(), dry_run=False)
    assert (done.refused_runs, done.datasets) == ((("run-1",) if gone else ()), ())
    left = set(world.objects.list("s3://models/FACE/run-1/"))
    assert blessing.report_uri in left and (left < set(before)) == gone
