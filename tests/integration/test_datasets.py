"""From the Helper database to shards and back to nothing, through real PostgreSQL and S3."""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from datetime import timedelta

import boto3
import cv2
import numpy as np
import psycopg2
import pytest

from include.stack.layout import REPOSITORY, environment
from pipeline.bootstrap import Pipeline
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.dataset import Augmentation, Manifest, Split
from pipeline.domain.errors import DatasetRefused
from pipeline.learning.shards import task_ids
from pipeline.settings import Settings
from pipeline.steps.stored_dataset import frozen_manifest, unseen_demand
from tests.builders import NOW

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("judged")]

COUNT, COPIES = 90, 3
KILLS = 6
RUN = ("--run-id", "run-1")


@pytest.fixture
def world(services):
    return World(services)


class World:
    """Ninety confirmed tasks, every third one corrected, each with a photo of its own."""

    def __init__(self, services):
        self.stack = services.stack
        self.s3 = boto3.client("s3", endpoint_url=self.stack.s3_endpoint)
        owner = psycopg2.connect(self.stack.dsn("helper", "helper"))
        with owner, owner.cursor() as cursor:
            for n in range(COUNT):
                self.s3.put_object(Bucket="tasks", Key=f"{n}.jpg", Body=_photo(n))
                corrected, label = n % 3 == 0, ("양호", "불량")[n % 2]
                other = ("불량", "양호")[n % 2]
                cursor.execute(
                    "INSERT INTO tasks VALUES (%s, 'H-1', %s, %s, 'v1', %s, %s, %s, now(), %s)",
                    (
                        f"TASK-{n:05d}",
                        f"s3://tasks/{n}.jpg",
                        other if corrected else label,
                        label,
                        corrected,
                        "stain" if corrected else None,
                        NOW - timedelta(days=100, minutes=n),
                    ),
                )
        owner.close()
        self.pipeline = Pipeline(
            Wiring(
                Settings(
                    mlops_dsn=self.stack.dsn("mlops", "mlops"),
                    helper_dsn=self.stack.dsn("mlops_reader", "helper"),
                    s3_endpoint=self.stack.s3_endpoint,
                    augmentation=Augmentation(copies=COPIES, photos_per_slice=20),
                )
            )
        )

    def prepare(self, run_id="run-1", dataset_id=None):
        dataset_id = self.pipeline.collect(run_id, "LAUNDRY", dataset_id)
        for index in self.pipeline.slices(dataset_id):
            self.pipeline.augment_slice(dataset_id, index)
        return self.pipeline.assemble(run_id, dataset_id)

    def unseen_demand(self, dataset_id):
        """What training asks about the photos it read."""
        wiring = self.pipeline._w
        manifest = frozen_manifest(wiring.datasets.get(dataset_id), wiring.datasets, wiring.objects)
        return unseen_demand(manifest, wiring.datasets)

    def objects(self, dataset_id):
        """Hash of every object of a dataset but the report's pages, whose names have the time in them."""
        listed = self.s3.list_objects_v2(Bucket="datasets", Prefix=f"{dataset_id}/").get("Contents", [])
        keys = [o["Key"] for o in listed if "/data-docs/" not in o["Key"]]
        return {key: hashlib.sha256(self.read(key)).hexdigest() for key in keys}

    def read(self, key):
        return self.s3.get_object(Bucket="datasets", Key=key)["Body"].read()

    def manifest(self, dataset_id):
        return Manifest.from_json(self.read(f"{dataset_id}/manifest.json"))

    def command(self, *arguments, photos_per_slice=20):
        """`python -m pipeline …` as a process of its own."""
        settings = {"RETRAIN_PHOTOS_PER_SLICE": str(photos_per_slice), "RETRAIN_AUGMENTATION_COPIES": str(COPIES)}
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **environment(self.stack), **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


def _photo(number):
    blocks = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
    ok, encoded = cv2.imencode(".jpg", cv2.resize(blocks, (320, 240), interpolation=cv2.INTER_NEAREST))
    assert ok
    return bytes(encoded.tobytes())


def test_a_dataset_is_what_the_policies_say_and_asks_training_to_look(world):
    validated = world.pipeline.validate(world.pipeline.collect("run-1", "LAUNDRY", None))
    counts = world.prepare()
    assert len(validated["data_docs"]) == 2 and validated["report"].startswith(world.stack.s3_endpoint)
    manifest = world.manifest(counts["dataset_id"])
    assert counts["train_count"] == len(manifest.of(Split.TRAIN)) * COPIES
    assert counts["holdout_version"] == 1
    shards = [world.read(key) for key in world.objects(counts["dataset_id"]) if "/shards/train" in key]
    trained = task_ids(shards)
    assert trained == {p.task_id for p in manifest.of(Split.TRAIN)}
    demand = world.unseen_demand(counts["dataset_id"])
    demand(trained)
    held = manifest.of(Split.HOLDOUT)[0].task_id
    with pytest.raises(DatasetRefused, match=f"no training photos of .*{held}"):
        demand([*trained, held])


def test_a_manifest_that_was_changed_after_freezing_is_not_trained_on(world):
    counts = world.prepare()
    key = f"{counts['dataset_id']}/manifest.json"
    world.s3.put_object(Bucket="datasets", Key=key, Body=world.read(key) + b" ")
    with pytest.raises(DatasetRefused, match="manifest.json is not what was recorded"):
        world.unseen_demand(counts["dataset_id"])


def test_a_retry_goes_through_every_step_on_the_same_dataset_and_changes_nothing(world):
    counts = world.prepare()
    before = world.objects(counts["dataset_id"])
    assert world.prepare("retry-of-run-1", counts["dataset_id"]) == counts
    assert world.objects(counts["dataset_id"]) == before
    assert world.pipeline._w.datasets.get(counts["dataset_id"]).run_id == "run-1"
    photo = world.manifest(counts["dataset_id"]).of(Split.TRAIN)[0]
    world.pipeline.erase_photo(photo.task_id, actor="kim", reason="asked by the customer")
    with pytest.raises(DatasetRefused, match=f"the photo of {photo.task_id} was erased"):
        world.prepare("retry-of-retry-of-run-1", counts["dataset_id"])


def test_killed_at_any_moment_and_run_again_it_is_the_same_dataset(world):
    expected = world.prepare()
    dataset_id = expected["dataset_id"]
    undisturbed = world.objects(dataset_id)
    rng = random.Random(4)
    for key in undisturbed:
        if "/shards/" in key or key.endswith(("dataset.json", ".png")):
            world.s3.delete_object(Bucket="datasets", Key=key)
    for _ in range(KILLS):
        process = world.command("augment", *RUN, "--dataset-id", dataset_id)
        time.sleep(rng.uniform(0.5, 3.0))
        process.kill()
        process.communicate()
    # Other settings by now: what was frozen with the dataset counts.
    process = world.command("augment", *RUN, "--dataset-id", dataset_id, photos_per_slice=7)
    answer = json.loads(process.communicate()[0])
    assert process.returncode == 0
    assert answer == expected
    assert world.objects(dataset_id) == undisturbed
    rows = world.pipeline._w.datasets.appearances(dataset_id=dataset_id)
    assert len(rows) == len(world.manifest(dataset_id).photos)


def test_a_forgotten_photo_is_in_no_object_and_no_later_dataset_and_its_lineage_stays(world):
    dataset_id = world.prepare()["dataset_id"]
    photo = world.manifest(dataset_id).of(Split.TRAIN)[0]
    done = world.pipeline.erase_photo(photo.task_id, actor="kim", reason="asked by the customer")
    assert done["rows"]["dataset_photos"] == 1
    assert f"the original {photo.photo_url} belongs to the Helper service: delete it there" in done["left"]
    for key in world.objects(dataset_id):
        assert photo.task_id.encode() not in world.read(key)
    dataset = world.pipeline._w.datasets.get(dataset_id)
    index = json.loads(world.read(f"{dataset_id}/dataset.json"))
    trained = task_ids([world.read(shard["uri"].removeprefix("s3://datasets/")) for shard in index["train"]])
    assert len(trained) * COPIES == dataset.train_count
    world.unseen_demand(dataset.id)(trained)
    (row,) = world.pipeline.lineage_of_task(photo.task_id)
    assert (row["dataset_id"], row["role"], row["photo_url"]) == (dataset_id, "learned from", "")
    second = world.pipeline.collect("run-2", "LAUNDRY")
    assert not world.manifest(second).names(photo.task_id)
    assert world.pipeline.erase_photo("TASK-404", actor="kim", reason="before it comes")["rewritten"] == []


def test_the_holdout_of_the_first_dataset_judges_the_second(world):
    first = world.manifest(world.prepare()["dataset_id"])
    second = world.manifest(world.prepare("run-2")["dataset_id"])
    members = {p.task_id for p in first.of(Split.HOLDOUT)}
    assert members and members <= {p.task_id for p in second.of(Split.HOLDOUT)}
    assert not members & {p.task_id for p in second.of(Split.TRAIN)}
