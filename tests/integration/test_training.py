"""Learning with the real networks: recognising, resuming, failing with a cause, and exporting what a server accepts."""

import errno
import hashlib
import io
import json
import os
from dataclasses import dataclass, replace

import numpy as np
import pytest

from faceserve.engines.base import factory
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination
from faceserve.models.generation import Origin
from faceserve.models.loading import Loader
from include.contract.manifest import MANIFEST, REASONS, ArtifactManifest
from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset import Dataset
from pipeline.domain.errors import DatasetRefused, ServiceUnavailable, TrainingFailed
from pipeline.domain.reasons import KnownReasons
from pipeline.domain.training import Hyperparameters, TrainingResult
from pipeline.learning.frozen import cache_key
from pipeline.learning.shards import unpack
from pipeline.learning.trainer import KerasTrainer
from pipeline.ports.training import TrainingJob
from tests.fakes.data import FakeObjects
from tests.fakes.faults import Killed
from tests.fakes.training import FakeExperiment
from tests.tiny_dataset import LABELS, SHARDS, tiny_dataset

pytestmark = pytest.mark.integration

ARTIFACT = "s3://models/LAUNDRY/run-1/"
TINY = Hyperparameters(backbone="EfficientNetLite0", epochs=3, batch_size=8)


def _job(dataset, hyperparameters=TINY):
    return TrainingJob("run-1", dataset, LABELS, hyperparameters, f"{ARTIFACT}checkpoints/1/", ARTIFACT)


def _train(objects, dataset, hyperparameters=TINY, *, experiment=None, on_epoch=lambda epoch: None):
    return KerasTrainer(objects).train(
        _job(dataset, hyperparameters), on_epoch, experiment or FakeExperiment("experiment-1")
    )


@dataclass(frozen=True)
class Trained:
    """What a training began with, wrote, showed, and returned; `asked` are what it kept of single photos."""

    dataset: Dataset
    objects: FakeObjects
    experiment: FakeExperiment
    result: TrainingResult
    asked: list[str]


@pytest.fixture(scope="module")
def trained():
    """One whole training, of photos half of which have a reason that people named."""
    objects, experiment, asked = FakeObjects(), FakeExperiment("experiment-1"), []
    dataset = tiny_dataset(objects)
    seen = unpack([objects.read(SHARDS["train"])])
    of = {task: ("얼룩",) if label else () for task, label in zip(seen.task_ids, seen.labels, strict=True)}
    job = replace(_job(dataset), forget_erased=asked.append, reasons=KnownReasons(("얼룩", "흙"), 3, of))
    result = KerasTrainer(objects).train(job, lambda epoch: None, experiment)
    return Trained(dataset, objects, experiment, result, asked)


def test_of_all_that_the_trainer_keeps_of_single_photos_it_is_asked_whether_one_was_erased(trained):
    caches = [uri for uri in trained.objects.bodies if ArtifactFolder(ARTIFACT).is_cache(uri)]
    assert trained.asked == caches != []


@pytest.mark.parametrize(
    ("train", "validation", "reason"), [(10, 8, "5 training images are 양호, 8 needed"), (24, 0, "no validation")]
)
def test_too_little_data_is_reported_as_such_before_the_network_is_built(train, validation, reason):
    objects = FakeObjects()
    with pytest.raises(TrainingFailed, match=reason) as failed:
        _train(objects, tiny_dataset(objects, train, validation), replace(TINY, backbone="of no importance"))
    assert failed.value.cause == "too_little_data"


def test_the_trainer_asks_about_every_photo_it_read_before_it_learns_anything():
    objects, asked = FakeObjects(), []

    def refuse(task_ids):
        asked.append(task_ids)
        raise DatasetRefused("TASK-3 was held out")

    job = replace(_job(tiny_dataset(objects)), demand_unseen=refuse)
    with pytest.raises(DatasetRefused, match="TASK-3 was held out"):
        KerasTrainer(objects).train(job, lambda epoch: None, FakeExperiment("experiment-1"))
    assert asked == [{f"TASK-{n}" for n in range(24)}]


class NoRoom(FakeObjects):
    """No room for the dataset."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def read(self, uri):
        if uri.endswith("dataset.json"):
            raise self.error
        return super().read(uri)


def _exhausted(what):
    from tensorflow.errors import ResourceExhaustedError

    return ResourceExhaustedError(None, None, what)


@pytest.mark.parametrize(
    "error", [MemoryError, lambda: _exhausted("OOM when allocating tensor"), lambda: RuntimeError("std::bad_alloc")]
)
def test_running_out_of_memory_is_reported_as_such(error):
    objects = NoRoom(error())
    with pytest.raises(TrainingFailed) as failed:
        _train(objects, tiny_dataset(objects))
    assert failed.value.cause == "out_of_memory"
    assert failed.value.detail


@pytest.mark.parametrize(
    "error",
    [
        lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/model"),
        lambda: _exhausted("/tmp/model; No space left on device"),
    ],
)
def test_a_full_disk_is_worth_another_try_and_is_not_taken_for_memory(error):
    objects = NoRoom(error())
    with pytest.raises(ServiceUnavailable, match=r"the local disk is unavailable: it is full \(.*/tmp/model"):
        _train(objects, tiny_dataset(objects))


def test_a_model_no_better_than_guessing_is_reported_as_a_plateau():
    objects = FakeObjects()
    dataset = tiny_dataset(objects)
    noise = np.random.default_rng(1).normal(size=(32, 1280)).astype(np.float32)
    folder = ArtifactFolder(ARTIFACT).features(cache_key(_job(dataset), None))
    for name, part in (("train", noise[:24]), ("validation", noise[24:])):
        out = io.BytesIO()
        np.save(out, part)
        objects.write(f"{folder}{name}-00000000.npy", out.getvalue())
    with pytest.raises(TrainingFailed, match=r"val_loss \d\.\d+ after \d+ epochs, 0\.6931 by guessing") as failed:
        _train(objects, dataset, replace(TINY, epochs=200, patience=2, learning_rate=0.05))
    assert failed.value.cause == "plateau"


def test_a_shard_that_changed_or_went_after_augmenting_is_named_and_not_learned_from():
    objects = FakeObjects()
    dataset = tiny_dataset(objects)
    objects.bodies[SHARDS["train"]] += b"\0"
    with pytest.raises(DatasetRefused, match=r"train\.parquet is not what was recorded"):
        _train(objects, dataset)
    del objects.bodies[SHARDS["train"]]
    with pytest.raises(DatasetRefused, match=r"train\.parquet is missing"):
        _train(objects, dataset)


class Streamed(FakeObjects):
    """As a server reads objects."""

    def read(self, uri, at_most_bytes=1 << 30):
        return super().read(uri)[:at_most_bytes]

    def chunks(self, uri):
        yield self.read(uri)


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_a_server_loads_the_artifact_and_gives_the_golden_predictions(trained, tmp_path, engine):
    result, objects = trained.result, trained.objects
    examination = Examination(engine, ("f32",))
    loader = Loader(
        ArtifactCache(tmp_path, Streamed(objects.bodies), examination.keys), examination, factory(engine, 1)
    )
    loaded = loader.load("laundry", Origin("v1.0.0", result.artifact_uri, result.manifest_sha256))
    with np.load(tmp_path / result.manifest_sha256 / "golden.npz") as golden:
        found = loaded.generation.engine.infer(golden["images"]).probabilities
        assert found == pytest.approx(golden["probabilities"], abs=1e-3)


def test_an_artifact_holds_none_of_the_photos_that_it_was_made_with(trained):
    seen = unpack([trained.objects.read(uri) for uri in SHARDS.values()]).images
    with np.load(io.BytesIO(trained.objects.read(f"{ARTIFACT}golden.npz"))) as golden:
        images = golden["images"].astype(int)
    assert len(images) == 16 and min(np.abs(image - one).mean() for image in images for one in seen) > 10
    manifest = ArtifactManifest.from_json(trained.objects.read(f"{ARTIFACT}{MANIFEST}"))
    assert manifest.extra["golden_source"] == "scikit-learn"


def test_the_manifest_says_whose_model_it_is_and_hashes_every_file(trained):
    result, objects = trained.result, trained.objects
    body = objects.read(f"{ARTIFACT}{MANIFEST}")
    manifest = ArtifactManifest.from_json(body)
    assert hashlib.sha256(body).hexdigest() == result.manifest_sha256
    assert (manifest.run_id, manifest.dataset_id, manifest.labels) == ("run-1", "DS-2026-001", LABELS)
    assert (manifest.backbone, manifest.feature_width) == ("EfficientNetLite0", 1280)
    for path, sha256 in manifest.files.items():
        assert hashlib.sha256(objects.read(f"{ARTIFACT}{path}")).hexdigest() == sha256


def test_reasons_that_people_named_come_with_the_model_and_change_no_verdict(trained):
    epochs = []

    def to_the_last(epoch):
        epochs.append((epoch.val_loss, epoch.val_accuracy))
        if epoch.number == TINY.epochs:
            raise Killed

    with pytest.raises(Killed):
        _train(FakeObjects(dict(trained.objects.bodies)), trained.dataset, on_epoch=to_the_last)
    assert (trained.result.val_loss, trained.result.val_accuracy) == pytest.approx(min(epochs), abs=1e-5)
    objects = trained.objects
    manifest = ArtifactManifest.from_json(objects.read(f"{ARTIFACT}{MANIFEST}"))
    assert REASONS in manifest.files
    with np.load(io.BytesIO(objects.read(f"{ARTIFACT}{REASONS}"))) as kept:
        assert kept["names"].tolist() == ["얼룩"] and kept["weights"].shape == (1280, 1)
    assert [row["reason"] for row in json.loads(trained.experiment.files["reasons.json"])] == ["얼룩", "흙"]


def test_a_result_counts_every_validation_photo_once(trained):
    result = trained.result
    assert sum(map(sum, result.confusion)) == 8
    assert result.val_accuracy == pytest.approx((result.confusion[0][0] + result.confusion[1][1]) / 8)
    assert (result.epochs_completed, result.run_id, result.dataset_id) == (3, "run-1", "DS-2026-001")


def test_a_training_leaves_its_pictures_with_the_experiment(trained):
    pictures = {"curves.png", "confusion-matrix.png", "calibration.png", "roc.png"}
    assert set(trained.experiment.files) == pictures | {"reasons.json"}
    assert all(trained.experiment.files[name].startswith(b"\x89PNG") for name in pictures)


def test_a_result_tells_how_well_each_class_is_recognised_and_how_far_confidence_can_be_trusted(trained):
    result = trained.result
    assert [(c.label, c.support) for c in result.per_class] == [("양호", 4), ("불량", 4)]
    assert result.f1_score == pytest.approx(np.mean([c.f1_score for c in result.per_class]))
    assert 0 <= result.ece <= 1
    assert result.peak_memory_mb > 100


class ReadOnly(FakeObjects):
    def write(self, uri, body, content_type="application/octet-stream"):
        raise AssertionError(f"{uri} is written again")


def _kill(epoch):
    raise Killed


def test_a_training_that_runs_again_keeps_the_features_it_has(trained):
    with pytest.raises(Killed):
        _train(ReadOnly(dict(trained.objects.bodies)), trained.dataset, on_epoch=_kill)
