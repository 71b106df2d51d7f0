"""Learning with the real networks: recognising, resuming, failing with a cause, and exporting what a server accepts."""

import hashlib
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
from pipeline.domain.errors import DatasetRefused, GiveUp, TrainingFailed
from pipeline.domain.training import Hyperparameters, TrainingResult
from pipeline.learning import backbones, head
from pipeline.learning.shards import unpack
from pipeline.learning.trainer import KerasTrainer
from pipeline.ports import TrainingJob
from tests.fakes.data import FakeObjects
from tests.fakes.faults import Killed
from tests.fakes.training import FakeExperiment
from tests.tiny_dataset import LABELS, SHARDS, tiny_dataset

pytestmark = pytest.mark.integration

ARTIFACT = "s3://models/LAUNDRY/run-1/"
TWELVE_EPOCHS = Hyperparameters(epochs=12, batch_size=8, patience=12)
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


def test_a_mirror_without_the_weights_is_an_error_that_names_both(cut_off):
    with pytest.raises(GiveUp, match=rf"no ResNet50 weights at s3://mirror/resnet\.h5: put {RESNET50_FILE} there"):
        backbones.build("ResNet50", FakeObjects(), "s3://mirror/resnet.h5")


def test_a_mirror_with_other_bytes_is_refused_and_nothing_of_it_is_kept(cut_off):
    mirror = FakeObjects({"s3://mirror/resnet.h5": b"<html>not found</html>"})
    with pytest.raises(GiveUp, match=rf"s3://mirror/resnet\.h5 is no weights file: put {RESNET50_FILE}"):
        backbones.build("ResNet50", mirror, "s3://mirror/resnet.h5")
    assert not (cut_off / ".keras/models" / RESNET50_FILE).exists()


def _split(seed, count=48, width=16):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    features = rng.normal(size=(count, width)).astype(np.float32) + labels[:, None] * 0.5
    return head.Split(features.astype(np.float32), np.eye(2, dtype=np.float32)[labels])


def _fit(hyperparameters, kept, kill_after=None, train=None):
    """Trains a head on small features as the trainer does, going on from what `kept` holds; its weights and history."""
    model = head.new_head(16, 2, hyperparameters)
    progress = head.resume(model, kept["checkpoint"], "run-1") if kept else head.Progress()

    def on_epoch(epoch):
        if epoch.number == kill_after:
            raise Killed

    done = head.fit(
        model,
        train or _split(1),
        _split(2),
        hyperparameters,
        progress=progress,
        checkpoint=lambda p: kept.update(checkpoint=head.save(model, p, "run-1")),
        on_epoch=on_epoch,
    )
    return model.get_weights(), done


@pytest.fixture(scope="module")
def undisturbed():
    return _fit(TWELVE_EPOCHS, {})


@pytest.mark.parametrize(("every", "kill_after"), [(1, 3), (5, 6), (5, 10)])
def test_a_training_that_was_killed_goes_on_to_the_same_weights(undisturbed, every, kill_after):
    parameters, kept = replace(TWELVE_EPOCHS, checkpoint_every_epochs=every), {}
    with pytest.raises(Killed):
        _fit(parameters, kept, kill_after=kill_after)
    weights, progress = _fit(parameters, kept)
    assert all((a == b).all() for a, b in zip(weights, undisturbed[0], strict=True))
    assert progress.history == undisturbed[1].history


def test_a_training_that_stops_early_ends_with_its_best_weights_not_its_last():
    parameters = Hyperparameters(epochs=60, batch_size=8, learning_rate=0.05, patience=3)
    weights, progress = _fit(parameters, {})
    losses = [epoch["val_loss"] for epoch in progress.history]
    assert len(losses) == losses.index(min(losses)) + 1 + 3 < 60
    best, _ = _fit(replace(parameters, epochs=progress.best_epoch), {})
    assert all((a == b).all() for a, b in zip(weights, best, strict=True))


def test_a_checkpoint_of_another_training_is_not_taken_up():
    parameters, kept = Hyperparameters(epochs=1, checkpoint_every_epochs=1), {}
    _fit(parameters, kept)
    fresh = head.new_head(16, 2, parameters)
    before = fresh.get_weights()
    assert head.resume(fresh, kept["checkpoint"], "run-2") is None
    assert all((a == b).all() for a, b in zip(before, fresh.get_weights(), strict=True))


def test_features_that_are_no_numbers_are_reported_as_diverged():
    poisoned = head.Split(np.full((16, 16), np.nan, np.float32), _split(1, 16).targets)
    with pytest.raises(TrainingFailed, match="epoch 1 at rate 0.001") as failed:
        _fit(Hyperparameters(epochs=3), {}, train=poisoned)
    assert failed.value.cause == "diverged"


def test_a_learning_rate_that_explodes_is_reported_as_diverged():
    with pytest.raises(TrainingFailed, match="at rate 1e") as failed:
        _fit(Hyperparameters(epochs=5, learning_rate=1e38), {})
    assert failed.value.cause == "diverged"


@pytest.mark.parametrize(
    ("train", "validation", "reason"), [(10, 8, "5 training images are 양호, 8 needed"), (24, 0, "no validation")]
)
def test_too_little_data_is_reported_as_such_before_the_network_is_built(train, validation, reason):
    objects = FakeObjects()
    with pytest.raises(TrainingFailed, match=reason) as failed:
        _train(objects, tiny_dataset(objects, train, validation), replace(TINY, backbone="of no importance"))
    assert failed.value.cause == "too_little_data"


class FullMemory(FakeObjects):
    """No room for the dataset."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def read(self, uri):
        if uri.endswith("dataset.json"):
            raise self.error
        return super().read(uri)


def _out_of_memory():
    from tensorflow.errors import ResourceExhaustedError

    return ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize("error", [MemoryError, _out_of_memory])
def test_running_out_of_memory_is_reported_as_such(error):
    objects = FullMemory(error())
    with pytest.raises(TrainingFailed) as failed:
        _train(objects, tiny_dataset(objects))
    assert failed.value.cause == "out_of_memory"
    assert failed.value.detail


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
    assert all(trained.experiment.files[name].startswith(b"\x89PNG") for name in ("curves.png", "confusion-matrix.png"))


class ReadOnly(FakeObjects):
    def write(self, uri, body, content_type="application/octet-stream"):
        raise AssertionError(f"{uri} is written again")


def _kill(epoch):
    raise Killed


def test_a_training_that_runs_again_keeps_the_features_it_has(trained):
    with pytest.raises(Killed):
        _train(ReadOnly(dict(trained.objects.bodies)), trained.dataset, on_epoch=_kill)
