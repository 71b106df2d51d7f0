"""The frozen networks: what they recognise, where their weights come from, and where they are split."""

import urllib.request

import numpy as np
import pytest
from skimage import data

from include.contract.preprocessing import resize
from pipeline.domain.errors import GiveUp
from pipeline.learning import backbones
from pipeline.learning.backbones import split
from tests.fakes.data import FakeObjects

pytestmark = pytest.mark.integration


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


def test_the_network_itself_is_not_trained():
    assert backbones.build("EfficientNetLite0", FakeObjects(), None).trainable_variables == []


def test_an_unknown_network_is_refused_with_the_choice():
    with pytest.raises(GiveUp, match=r"unknown backbone 'VGG': choose one of EfficientNetLite0, ResNet50"):
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


@pytest.mark.slow
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
    trunk, tail = split(network, backbones.BUILDERS["ResNet50"].border)
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
