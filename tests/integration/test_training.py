"""Learning with the real networks: recognising, resuming, failing with a cause, and exporting what a server accepts."""

import errno
import hashlib
import io
import os
import urllib.request
from dataclasses import dataclass, replace

import numpy as np
import pytest
from skimage import data

from faceserve.artifacts import ArtifactCache
from faceserve.engines.base import factory
from faceserve.loading import Examination, Loader, Origin
from include.contract.manifest import MANIFEST, ArtifactManifest
from include.contract.preprocessing import resize
from pipeline.domain.dataset import Dataset
from pipeline.domain.errors import DatasetRefused, GiveUp, ServiceUnavailable, TrainingFailed
from pipeline.domain.training import Hyperparameters, TrainingResult
from pipeline.learning import backbones
from pipeline.learning.checkpoints import code_version
from pipeline.learning.network import split
from pipeline.learning.shards import unpack
from pipeline.learning.trainer import KerasTrainer
from pipeline.ports import TrainingJob
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
    """What a training began with, wrote, showed, and returned."""

    dataset: Dataset
    objects: FakeObjects
    experiment: FakeExperiment
    result: TrainingResult


@pytest.fixture(scope="module")
def trained():
    """One whole training."""
    objects, experiment = FakeObjects(), FakeExperiment("experiment-1")
    dataset = tiny_dataset(objects)
    return Trained(dataset, objects, experiment, _train(objects, dataset, experiment=experiment))


@pytest.fixture(scope="module")
def imagenet():
    """From RGB pixels to the probabilities of ImageNet's 1000 classes."""
    from pipeline.learning.efficientnet_lite0 import classifier

    network = backbones.build("EfficientNetLite0", FakeObjects(), None)
    weights, bias = classifier()

    def probabilities(pixels):
        logits = (network(resize(pixels)[None].astype(np.float32)).numpy() @ weights + bias)[0]
        return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()

    return probabilities


# Other scaling or swapped colours still recognise both photos, but are less sure.
@pytest.mark.parametrize(("photo", "espresso_or_cat", "sure"), [("coffee", 967, 0.85), ("chelsea", 285, 0.7)])
def test_the_network_recognises_what_is_on_a_photo(imagenet, photo, espresso_or_cat, sure):
    assert imagenet(getattr(data, photo)())[espresso_or_cat] > sure


def test_the_trainer_asks_about_every_photo_it_read_before_it_learns_anything():
    objects, asked = FakeObjects(), []

    def refuse(task_ids):
        asked.append(task_ids)
        raise DatasetRefused("TASK-3 was held out")

    job = replace(_job(tiny_dataset(objects)), demand_unseen=refuse)
    with pytest.raises(DatasetRefused, match="TASK-3 was held out"):
        KerasTrainer(objects).train(job, lambda epoch: None, FakeExperiment("experiment-1"))
    assert asked == [{f"TASK-{n}" for n in range(24)}]


def test_the_network_itself_is_not_trained():
    assert backbones.build("EfficientNetLite0", FakeObjects(), None).trainable_variables == []


def test_an_unknown_network_is_refused_with_the_choice():
    with pytest.raises(GiveUp, match=r"unknown backbone 'VGG': choose one of ResNet50, EfficientNetLite0"):
        backbones.build("VGG", FakeObjects(), None)


RESNET50_FILE = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"


@pytest.fixture
def cut_off(tmp_path, monkeypatch):
    """A machine with an empty Keras cache that cannot download anything."""
    import keras

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", str(tmp_path / ".keras"))
    monkeypatch.setattr(urllib.request, "_opener", None)
    for name, value in {"https_proxy": "http://127.0.0.1:9", "no_proxy": ""}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.upper(), value)
    yield tmp_path
    urllib.request.install_opener(None)


def test_weights_out_of_reach_are_an_error_that_names_the_file_and_where_to_put_it(cut_off):
    with pytest.raises(GiveUp) as refused:
        backbones.build("ResNet50", FakeObjects(), None)
    assert f"put {RESNET50_FILE}" in str(refused.value)
    assert str(cut_off / ".keras/models" / RESNET50_FILE) in str(refused.value)
    assert "RETRAIN_WEIGHTS_URI" in str(refused.value)


def test_resnet50_takes_keras_own_weights_file_and_can_be_split_at_its_last_block(cut_off, tmp_path):
    import h5py
    import keras
    from keras.src.legacy.saving import legacy_h5_format

    original = keras.applications.ResNet50(include_top=False, pooling="avg", weights=None)
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, original)
    mirror = FakeObjects({"s3://mirror/resnet.h5": (tmp_path / "weights.h5").read_bytes()})
    network = backbones.build("ResNet50", mirror, "s3://mirror/resnet.h5")
    photo = resize(data.coffee())[None].astype(np.float32)
    expected = original(keras.applications.resnet50.preprocess_input(photo.copy())).numpy()
    assert network(photo).numpy() == pytest.approx(expected, abs=1e-3)
    trunk, tail = split(network, backbones.BACKBONES["ResNet50"].border)
    assert trunk.output_shape == (None, 7, 7, 2048)
    assert tail(trunk(photo)).numpy() == pytest.approx(expected, abs=1e-3)


def test_half_precision_gives_nearly_the_same_features():
    photo = resize(data.coffee())[None].astype(np.float32)
    full, half = (backbones.build("EfficientNetLite0", FakeObjects(), None, p) for p in ("float32", "mixed_bfloat16"))
    assert half.compute_dtype == "bfloat16"
    a, b = full(photo).numpy().ravel(), np.array(half(photo)).astype(np.float32).ravel()
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.99


def test_a_mirror_without_the_weights_is_an_error_that_names_both(cut_off):
    with pytest.raises(GiveUp, match=rf"no ResNet50 weights at s3://mirror/resnet\.h5: put {RESNET50_FILE} there"):
        backbones.build("ResNet50", FakeObjects(), "s3://mirror/resnet.h5")


def test_a_mirror_with_other_bytes_is_refused_and_nothing_of_it_is_kept(cut_off):
    mirror = FakeObjects({"s3://mirror/resnet.h5": b"<html>not found</html>"})
    with pytest.raises(GiveUp, match=rf"s3://mirror/resnet\.h5 is no weights file: put {RESNET50_FILE}"):
        backbones.build("ResNet50", mirror, "s3://mirror/resnet.h5")
    assert not (cut_off / ".keras/models" / RESNET50_FILE).exists()


@pytest.mark.parametrize(
    ("train", "validation", "reason"), [(10, 8, "5 training images are 양호, 8 needed"), (24, 0, "no validation")]
)
def test_too_little_data_is_reported_as_such_before_the_network_is_built(train, validation, reason):
    objects = FakeObjects()
    with pytest.raises(TrainingFailed, match=reason) as failed:
        _train(objects, tiny_dataset(objects, train, validation), replace(TINY, backbone="of no importance"))
    assert failed.value.cause == "too_little_data"


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


@pytest.mark.parametrize("error", [MemoryError, lambda: _exhausted("OOM when allocating tensor")])
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
    out = io.BytesIO()
    np.savez(out, train=noise[:24], validation=noise[24:])
    objects.write(f"{ARTIFACT}features/EfficientNetLite0-{dataset.sha256[:16]}-{code_version()}.npz", out.getvalue())
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


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_a_server_loads_the_artifact_and_gives_the_golden_predictions(trained, tmp_path, engine):
    result, objects = trained.result, trained.objects
    examination = Examination(engine, ("f32",))
    loader = Loader(ArtifactCache(tmp_path, objects, examination.keys), examination, factory(engine, 1))
    loaded = loader.load("laundry", Origin("v1.0.0", result.artifact_uri, result.manifest_sha256))
    images = unpack([objects.read(SHARDS["validation"])]).images
    with np.load(tmp_path / result.manifest_sha256 / "golden.npz") as golden:
        found = loaded.generation.engine.infer(golden["images"]).probabilities
        assert found == pytest.approx(golden["probabilities"], abs=1e-3)
        assert (golden["images"] == images).all()


def test_the_manifest_says_whose_model_it_is_and_hashes_every_file(trained):
    result, objects = trained.result, trained.objects
    body = objects.read(f"{ARTIFACT}{MANIFEST}")
    manifest = ArtifactManifest.from_json(body)
    assert hashlib.sha256(body).hexdigest() == result.manifest_sha256
    assert (manifest.run_id, manifest.dataset_id, manifest.labels) == ("run-1", "DS-2026-001", LABELS)
    assert (manifest.backbone, manifest.feature_width) == ("EfficientNetLite0", 1280)
    for path, sha256 in manifest.files.items():
        assert hashlib.sha256(objects.read(f"{ARTIFACT}{path}")).hexdigest() == sha256


def test_a_result_counts_every_validation_photo_once(trained):
    result = trained.result
    assert sum(map(sum, result.confusion)) == 8
    assert result.val_accuracy == pytest.approx((result.confusion[0][0] + result.confusion[1][1]) / 8)
    assert (result.epochs_completed, result.run_id, result.dataset_id) == (3, "run-1", "DS-2026-001")


def test_a_training_leaves_its_pictures_with_the_experiment(trained):
    pictures = {"curves.png", "confusion-matrix.png", "calibration.png", "roc.png"}
    assert set(trained.experiment.files) == pictures
    assert all(body.startswith(b"\x89PNG") for body in trained.experiment.files.values())


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
