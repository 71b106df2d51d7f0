"""The network is the one of face-api.js: what that answers to two pictures is kept beside this test."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.learning.faces.base_network import PIXELS, WIDTH, base_network
from pipeline.learning.faces.base_weights import BYTES, TENSORS, WeightsRefused, read_weights

ANSWERS = json.loads((Path(__file__).parent / "face_api_answers.json").read_text())


def pictures():
    """Drawn by formula, so that nobody's face is kept here."""
    y, x = np.mgrid[0:PIXELS, 0:PIXELS]
    stripes = np.stack([(x * 5 + y * 3) % 256, (x * y) % 256, (255 - x + 2 * y) % 256], -1)
    waves = np.stack([128 + 90 * np.sin(x / 9), 128 + 90 * np.cos(y / 13), 128 + 60 * np.sin((x + y) / 21)], -1)
    return np.stack([stripes.astype(np.uint8), waves.astype(np.uint8)]).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    return base_network()


def test_it_answers_as_the_original_does(network):
    assert network(pictures()).numpy() == pytest.approx(np.array(ANSWERS), abs=1e-4)


def test_it_has_nothing_to_learn(network):
    assert network.output_shape == (None, WIDTH)
    assert network.trainable_weights == []


def a_folder(path, listed=2):
    body = b"\x01\x02" + np.float32([0.5]).tobytes()
    tensors = [
        {"name": "small", "shape": [1, 2], "dtype": "float32", "quantization": {"scale": 0.5, "min": -1.0}},
        {"name": "exact", "shape": [1], "dtype": "float32"},
    ]
    (path / BYTES).write_bytes(body)
    (path / TENSORS).write_text(json.dumps([{"weights": tensors[:listed]}]))
    return path


def hashed(path):
    return tuple(hashlib.sha256((path / name).read_bytes()).hexdigest() for name in (BYTES, TENSORS))


def test_quantized_numbers_are_restored(tmp_path):
    folder = a_folder(tmp_path)
    tensors = read_weights(folder, *hashed(folder))
    assert tensors["small"].tolist() == [[-0.5, 0.0]]
    assert tensors["exact"].tolist() == [0.5]


def test_other_bytes_are_refused(tmp_path):
    with pytest.raises(WeightsRefused, match="has sha256 .*, expected b413"):
        read_weights(a_folder(tmp_path))


def test_another_list_of_the_same_bytes_is_another_network_and_refused(tmp_path):
    known = hashed(a_folder(tmp_path))
    (tmp_path / TENSORS).write_text((tmp_path / TENSORS).read_text().replace("-1.0", "-1.5"))
    with pytest.raises(WeightsRefused, match="weights_manifest.json has sha256"):
        read_weights(tmp_path, *known)


def test_bytes_that_nobody_listed_are_refused(tmp_path):
    folder = a_folder(tmp_path, listed=1)
    with pytest.raises(WeightsRefused, match="lists 2 bytes of 6"):
        read_weights(folder, *hashed(folder))


def test_weights_that_are_not_there_say_how_they_come(tmp_path):
    with pytest.raises(WeightsRefused, match=r"no weights of the face network .*install\.sh"):
        read_weights(tmp_path)
