"""A labelled folder becomes the dataset of the first model, through real PostgreSQL and S3."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from include.stack.layout import REPOSITORY, environment
from pipeline.bootstrap import Pipeline
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.dataset import Augmentation, Manifest
from pipeline.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("judged")]

EACH = 45


@pytest.fixture
def folder(tmp_path):
    """Photos of each label, and one that is none."""
    for label in ("양호", "불량"):
        (tmp_path / label).mkdir()
        for n in range(EACH):
            seed = n + 1000 * (label == "불량")
            blocks = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
            photo = cv2.resize(blocks, (320, 240), interpolation=cv2.INTER_NEAREST)
            (tmp_path / label / f"{n:02d}.jpg").write_bytes(cv2.imencode(".jpg", photo)[1].tobytes())
    (tmp_path / "양호" / "notes.jpg").write_text("no photo")
    return tmp_path


@pytest.fixture
def pipeline(services):
    stack = services.stack
    return Pipeline(
        Wiring(
            Settings(
                mlops_dsn=stack.dsn("mlops", "mlops"),
                # Nobody confirmed anything yet: there need be no Helper database.
                helper_dsn="postgresql://nobody@127.0.0.1:1/helper",
                s3_endpoint=stack.s3_endpoint,
                augmentation=Augmentation(copies=2),
            )
        )
    )


def test_a_folder_becomes_a_dataset_that_passes_every_check_and_forgets_a_photo(pipeline, folder):
    dataset_id = pipeline.collect_first("first", "LAUNDRY", str(folder), lambda done, of: None)
    assert pipeline.validate(dataset_id)["report_uri"]
    for index in pipeline.slices(dataset_id):
        pipeline.augment_slice(dataset_id, index)
    counts = pipeline.assemble("first", dataset_id)
    objects = pipeline._w.objects
    manifest = Manifest.from_json(objects.read(f"s3://datasets/{dataset_id}/manifest.json"))
    assert len(manifest.photos) == 2 * EACH and counts["corrections"] == 0
    assert [row.task_id for row in manifest.quarantined] == ["first:양호/notes.jpg"]
    again = pipeline.collect_first("first", "LAUNDRY", str(folder), lambda done, of: None)
    assert again == dataset_id, "run again, it goes on"
    photo = manifest.photos[0]
    left = pipeline.erase_photo(photo.task_id, actor="kim", reason="asked by the customer")["left"]
    assert not objects.exists(photo.photo_url) and any("the original is in the folder" in one for one in left)


@pytest.mark.parametrize("place", ["of this machine", "of a bucket"])
def test_a_folder_without_labels_is_refused_by_the_command_and_the_next_try_may_begin(services, tmp_path, place):
    def ask():
        where = str(tmp_path) if place == "of this machine" else "s3://tasks/nothing/"
        command = [sys.executable, "-m", "pipeline", "first-model", where, "--actor", "kim"]
        variables = {**os.environ, **environment(services.stack)}
        return subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)

    for _ in range(2):
        done = ask()
        assert done.returncode == 1, done.stderr
        why = "there is neither a labels.csv nor a folder of photos: folders may be 양호 (or good), 불량 (or defective)"
        assert done.stderr.splitlines()[-1] == f"refused: {why}"
    with services.mlops.transaction() as cursor:
        cursor.execute("SELECT DISTINCT outcome FROM retraining_runs")
        assert json.dumps(cursor.fetchall()) == '[["failed"]]'
