"""What each component asks of a real S3 is what the policy of its key allows, and one that asks for more is seen."""

import boto3
import pytest

from faceserve.errors import StorageUnavailable
from faceserve.storage import S3Source
from include.stand_in.photos import Photos
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.domain.training import Hyperparameters
from pipeline.learning.trainer import KerasTrainer
from pipeline.ports.training import TrainingJob
from tests.fakes.training import FakeExperiment
from tests.object_judge import judging
from tests.replica.world import TOKEN, replica
from tests.tiny_dataset import LABELS, tiny_dataset
from tests.tiny_model import coloured_photo, grey_photo, manifest_sha256, tiny_artifact

pytestmark = pytest.mark.integration

PHOTO = "s3://tasks/kim.jpg"


@pytest.fixture
def s3(services):
    return boto3.client("s3", endpoint_url=services.stack.s3_endpoint)


def test_a_replica_fetches_models_and_photos_and_keeps_its_gallery(services, s3, tmp_path, judged):
    endpoint, uri = services.stack.s3_endpoint, "s3://models/FACE/run-1/"
    files = tiny_artifact(model_type="FACE", threshold=0.75)
    for path, body in files.items():
        s3.put_object(Bucket="models", Key=f"FACE/run-1/{path}", Body=body)
    s3.put_object(Bucket="tasks", Key="kim.jpg", Body=grey_photo(20))
    settings = {"gallery_uri": "s3://faces/", "s3_endpoint": endpoint, "enrolment_token": TOKEN}
    with replica(tmp_path, S3Source(endpoint), **settings) as made:
        made.lifecycle.prepare("face", "v1.0.0", uri, manifest_sha256(files), timeout_seconds=60)
        made.lifecycle.activate("face", "v1.0.0")
        assert made.lifecycle.enroll("face", "kim", coloured_photo(250, 20, 20)) == 1
        assert made.lifecycle.withdraw("face", "kim") == 0
    asked = {(action, place.partition("/")[0]) for component, action, place in judged.asked if component == "faceserve"}
    of_gallery = {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"}
    assert asked >= {("s3:GetObject", "models"), *((action, "faces") for action in of_gallery)}


def test_a_stand_in_reads_photos(services, s3, judged):
    s3.put_object(Bucket="tasks", Key="kim.jpg", Body=grey_photo(20))
    assert Photos(services.stack.s3_endpoint, ("tasks",)).jpeg(PHOTO)
    assert judged.components() == {"helper"}


def test_a_training_reads_its_dataset_and_writes_its_model_and_its_checkpoints(services, judged):
    dataset = tiny_dataset(S3ObjectStore(endpoint=services.stack.s3_endpoint))
    artifact = "s3://models/LAUNDRY/run-1/"
    tiny = Hyperparameters(backbone="EfficientNetLite0", epochs=2, batch_size=8)
    job = TrainingJob("run-1", dataset, LABELS, tiny, f"{artifact}checkpoints/1/", artifact)
    trainer = KerasTrainer(S3ObjectStore(endpoint=services.stack.s3_endpoint), formats=())
    trainer.train(job, lambda epoch: None, FakeExperiment("e"))
    written = {
        place for component, action, place in judged.asked if (component, action) == ("retraining", "s3:PutObject")
    }
    assert f"{artifact.removeprefix('s3://')}manifest.json" in written


def test_whoever_asks_for_more_than_his_key_allows_is_seen():
    with judging() as judge, pytest.raises(StorageUnavailable):
        S3Source("http://127.0.0.1:1", hurried=True).write("s3://models/LAUNDRY/run-1/manifest.json", b"{}")
    assert judge.refused == ["faceserve: s3:PutObject models/LAUNDRY/run-1/manifest.json"]
