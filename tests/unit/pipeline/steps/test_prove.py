"""What somebody gets who has to vouch for a version."""

import csv
import hashlib
import io
import json
import zipfile

import pytest

from pipeline.domain.dataset import Source, Split
from pipeline.domain.errors import ObjectArchived, UnknownVersion
from pipeline.domain.lineage import Appearance
from pipeline.domain.models import ModelType
from pipeline.steps.prove import SUMS, prove
from tests.builders import a_dataset
from tests.unit.pipeline.dashboard_world import Overlooked

LAUNDRY = ModelType.LAUNDRY


def appearance(task_id, dataset_id):
    photo = ("LAUNDRY", task_id, f"s3://tasks/{task_id}.jpg", "a" * 64, "양호", Source.EVALUATION, Split.TRAIN)
    return Appearance(dataset_id, "first", *photo)


@pytest.fixture
def seen():
    """v1.0.0 and v1.1.0 served; a rollback brought the first one back."""
    seen = Overlooked()
    seen.world.live("first", "second")
    seen.world.roll_back()
    for run in ("first", "second"):
        name = f"dataset-of-{run}"
        seen.datasets.completed[name] = a_dataset(id=name, run_id=run)
        for task_id in ("TASK-1", "=TASK-2"):
            seen.datasets.lineage[name, task_id] = appearance(task_id, name)
        folder = f"s3://models/LAUNDRY/{run}/"
        for file in ("verification-report.json", "manifest.sig", "openvino/model.bin", "features/all.npz"):
            seen.world.objects.write(folder + file, run.encode())
    return seen


def pack(seen, version="v1.0.0"):
    return zipfile.ZipFile(io.BytesIO(prove(seen.proving, LAUNDRY, version)))


def told(found, name):
    return json.loads(found.read(name))


def test_every_file_is_named_with_its_hash(seen):
    found = pack(seen)
    sums = dict(reversed(line.split("  ")) for line in found.read(SUMS).decode().splitlines())
    names = {name: hashlib.sha256(found.read(name)).hexdigest() for name in found.namelist() if name != SUMS}
    assert sums == names
    assert found.testzip() is None


def test_the_verdict_the_training_and_the_photos_are_in_it(seen):
    found = pack(seen)
    assert told(found, "version.json")["version"] == "v1.0.0"
    assert (told(found, "verdict.json")["verdict"], told(found, "verdict.json")["run_id"]) == ("promote", "first")
    assert told(found, "training.json")["result"]["f1_score"] == 0.94
    assert told(found, "origin.json")["id"] == "dataset-of-first"
    rows = list(csv.DictReader(io.StringIO(found.read("photos.csv").decode())))
    assert [(row["task_id"], row["sha256"], row["label"], row["split"]) for row in rows] == [
        ("'=TASK-2", "a" * 64, "양호", "train"),
        ("TASK-1", "a" * 64, "양호", "train"),
    ]


def test_who_served_when_is_in_it_and_that_the_way_back_works(seen):
    found = pack(seen)
    served = [one for one in told(found, "history.json") if one["phase"] == "served"]
    assert [(one["kind"], one["version"], one["before"]) for one in served] == [
        ("promote", "v1.0.0", None),
        ("promote", "v1.1.0", "v1.0.0"),
        ("rollback_manual", "v1.0.0", "v1.1.0"),
    ]
    rollbacks = [one for one in told(found, "rollbacks.json") if one["phase"] == "served"]
    assert [(one["actor"], one["reason"]) for one in rollbacks] == [("kim", "too strict")]


def test_the_report_and_the_signed_manifest_are_in_it_and_neither_the_model_nor_what_it_was_computed_from(seen):
    names = {name for name in pack(seen).namelist() if name.startswith("artifact/")}
    assert names == {f"artifact/{name}" for name in ("manifest.json", "manifest.sig", "verification-report.json")}
    assert pack(seen).read("missing.txt") == b""


def test_the_same_version_is_the_same_pack(seen):
    assert prove(seen.proving, LAUNDRY, "v1.0.0") == prove(seen.proving, LAUNDRY, "v1.0.0")


def test_what_is_archived_or_gone_is_named(seen):
    read, folder = seen.world.objects.read, "s3://models/LAUNDRY/first/"

    def frozen(uri):
        if uri.endswith("report.json"):
            raise ObjectArchived(f"{uri} is archived")
        return read(uri)

    seen.world.objects.read = frozen
    assert "verification-report.json is archived" in pack(seen).read("missing.txt").decode()
    for uri in list(seen.world.objects.list(folder)):
        seen.world.objects.delete(uri)
    assert "restore the version first" in pack(seen).read("missing.txt").decode()


def test_a_version_that_nobody_knows_has_no_proof(seen):
    with pytest.raises(UnknownVersion, match="v9"):
        prove(seen.proving, LAUNDRY, "v9.0.0")
